import type { Random } from "../ports/random.ts"

/** Randomness that a seed reproduces. */
export interface SeededRandom extends Random {
  /** Uniform integer in [0, bound). */
  below(bound: number): number
  /** Uniform in [from, to). */
  between(from: number, to: number): number
  /** True with this probability. */
  chance(probability: number): boolean
  /** Throws a `RangeError` for an empty list. */
  pick<T>(items: readonly T[]): T
  shuffled<T>(items: readonly T[]): T[]
  /** Another sequence, derived by name, so that drawing from one never shifts the other. */
  fork(name: string): SeededRandom
}

/** David Blackman and Sebastiano Vigna's generator xoshiro128**, seeded by text through an FNV-1a hash. */
export function createSeededRandom(seed: number | string): SeededRandom {
  const state = seedState(String(seed))

  const word = (): number => {
    const result = Math.imul(rotateLeft(Math.imul(state[1], 5), 7), 9) >>> 0
    const shifted = state[1] << 9
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= shifted
    state[3] = rotateLeft(state[3], 11)
    return result
  }
  const unit = (): number => word() / 0x1_0000_0000
  const below = (bound: number): number => Math.floor(unit() * bound)

  return {
    bytes(length) {
      const bytes = new Uint8Array(length)
      for (let at = 0; at < length; at++) bytes[at] = word() >>> 24
      return bytes
    },
    unit,
    below,
    between: (from, to) => from + unit() * (to - from),
    chance: (probability) => unit() < probability,
    pick(items) {
      if (items.length === 0) throw new RangeError("nothing to pick from")
      return items[below(items.length)] as (typeof items)[number]
    },
    shuffled(items) {
      const shuffled = [...items]
      for (let at = shuffled.length - 1; at > 0; at--) {
        const other = below(at + 1)
        const held = shuffled[at] as (typeof items)[number]
        shuffled[at] = shuffled[other] as (typeof items)[number]
        shuffled[other] = held
      }
      return shuffled
    },
    fork: (name) => createSeededRandom(`${seed}/${name}`),
  }
}

type Words = [number, number, number, number]

function seedState(seed: string): Words {
  let hash = 0x811c_9dc5
  const next = (salt: number): number => {
    hash = Math.imul(hash ^ salt, 0x0100_0193)
    for (let at = 0; at < seed.length; at++) hash = Math.imul(hash ^ seed.charCodeAt(at), 0x0100_0193)
    hash ^= hash >>> 15
    return Math.imul(hash, 0x2c1b_3c6d) ^ (hash >>> 12)
  }
  const words: Words = [next(1), next(2), next(3), next(4)]
  // All zero would stay zero.
  if (words.every((word) => word === 0)) words[0] = 1
  return words
}

function rotateLeft(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by))
}
