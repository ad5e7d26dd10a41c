import { DecodeError } from "./decode-error.ts"
import { decodeUtf8 } from "./utf8.ts"

/** The largest integer that a varint may carry: JavaScript's safe integers, which cover 53-bit clocks. */
const MAX_SAFE = Number.MAX_SAFE_INTEGER

/**
 * Bounded cursor over hostile bytes. Big-endian. Every length is checked against what is left before
 * anything is allocated; every failure is a `DecodeError`.
 */
export class ByteReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    return this.#bytes[this.#advance(1)] as number
  }

  flag(): boolean {
    const value = this.u8()
    if (value > 1) throw new DecodeError("bad-value", "flag")
    return value === 1
  }

  u16(): number {
    const at = this.#advance(2)
    return ((this.#bytes[at] as number) << 8) | (this.#bytes[at + 1] as number)
  }

  u32(): number {
    const at = this.#advance(4)
    const bytes = this.#bytes
    const high = ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
    return ((high << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0
  }

  /** A 64-bit unsigned integer that must fit JavaScript's 53 bits. */
  u53(): number {
    const high = this.u32()
    const low = this.u32()
    if (high > 0x1f_ffff) throw new DecodeError("bad-number", "over 53 bits")
    return high * 0x1_0000_0000 + low
  }

  /** LEB128, at most 8 bytes and 53 bits; the shortest form is required so that bytes are canonical. */
  varint(max: number = MAX_SAFE): number {
    let value = 0
    let scale = 1
    for (let index = 0; index < 8; index++) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (value > max) throw new DecodeError("bad-number", "varint over its bound")
      if (byte < 0x80) {
        if (byte === 0 && index > 0) throw new DecodeError("bad-number", "varint not in shortest form")
        return value
      }
      scale *= 128
    }
    throw new DecodeError("bad-number", "varint too long")
  }

  /** A view on the input, not a copy: copy it before the input is reused. */
  bytes(length: number): Uint8Array {
    const at = this.#advance(length)
    return this.#bytes.subarray(at, at + length)
  }

  /** The same as a copy, made without an intermediate view. */
  copy(length: number = this.remaining): Uint8Array<ArrayBuffer> {
    const at = this.#advance(length)
    return this.#bytes.slice(at, at + length)
  }

  /** Bytes preceded by a varint length of at most `max`. */
  block(max: number): Uint8Array {
    return this.bytes(this.varint(max))
  }

  /** UTF-8 preceded by a varint length of at most `maxBytes`; malformed text is refused. */
  text(maxBytes: number): string {
    const bytes = this.block(maxBytes)
    try {
      return decodeUtf8(bytes)
    } catch {
      throw new DecodeError("bad-text")
    }
  }

  /** Item count of at most `max`, refused when the rest cannot hold that many items of `minBytes` each. */
  count(max: number, minBytes: number): number {
    const count = this.varint()
    if (count > max) throw new DecodeError("too-many-items", `${count} of at most ${max}`)
    if (count * minBytes > this.remaining) throw new DecodeError("truncated")
    return count
  }

  /** All that is left, as a view. */
  rest(): Uint8Array {
    return this.bytes(this.remaining)
  }

  /** Throws `DecodeError` "trailing-bytes" unless all was read. */
  end(): void {
    if (this.remaining > 0) throw new DecodeError("trailing-bytes", `${this.remaining} left`)
  }

  #advance(length: number): number {
    if (length > this.remaining) throw new DecodeError("truncated")
    const at = this.#at
    this.#at += length
    return at
  }
}
