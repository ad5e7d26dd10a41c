import type { SeededRandom } from "@dunlin/core/testing"

/** Bytes at the borders of what length and flag fields mean. */
const TELLING_BYTES = [0, 1, 2, 0x0f, 0x10, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xf0, 0xfe, 0xff]

/** Returns a function that makes another broken input from the samples with each call. */
export function createMutator(samples: readonly Uint8Array[], random: SeededRandom): () => Uint8Array {
  return () => {
    let input: Uint8Array = samples.length > 0 ? random.pick(samples).slice() : new Uint8Array(0)
    for (let count = 1 + random.below(4); count > 0; count--) input = mutated(input, samples, random)
    return input
  }
}

function mutated(input: Uint8Array, samples: readonly Uint8Array[], random: SeededRandom): Uint8Array {
  const at = random.below(input.length + 1)
  switch (random.below(9)) {
    case 0:
      return withByte(input, at, random.below(256))
    case 1:
      return withByte(input, at, random.pick(TELLING_BYTES))
    case 2:
      return withByte(input, at, (input[at] ?? 0) ^ (1 << random.below(8)))
    case 3:
      return input.slice(0, at)
    case 4:
      return joined(input.subarray(0, at), random.bytes(1 + random.below(8)), input.subarray(at))
    case 5:
      return joined(input.subarray(0, at), input.subarray(at + 1 + random.below(8)))
    case 6: {
      const again = input.subarray(at, at + 1 + random.below(32))
      return joined(input.subarray(0, at), again, again, input.subarray(at))
    }
    case 7: {
      // A length that promises far more than there is.
      const huge = Uint8Array.from({ length: 2 + random.below(7) }, (_, index) =>
        index === 0 ? 0xff : 0x80 | random.below(128),
      )
      return joined(
        input.subarray(0, at),
        huge,
        Uint8Array.of(random.below(128)),
        input.subarray(at + huge.length),
      )
    }
    default: {
      const other = samples.length > 0 ? random.pick(samples) : input
      return joined(input.subarray(0, at), other.subarray(random.below(other.length + 1)))
    }
  }
}

function withByte(input: Uint8Array, at: number, byte: number): Uint8Array {
  if (at < input.length) input[at] = byte
  return input
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
