import { encodeUtf8 } from "./utf8.ts"

/** Growing big-endian buffer: the counterpart of `ByteReader`. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>
  #length = 0
  /** A view of the start of `#bytes`, reused while the length is the same: most inputs to a hash have one length. */
  #view: Uint8Array<ArrayBuffer>

  constructor(capacity = 256) {
    this.#bytes = this.#view = new Uint8Array(capacity)
  }

  u8(value: number): this {
    // Reserve first: it may replace `#bytes`, and an assignment evaluates its target before its index.
    const at = this.#reserve(1)
    this.#bytes[at] = value
    return this
  }

  flag(value: boolean): this {
    return this.u8(value ? 1 : 0)
  }

  u16(value: number): this {
    const at = this.#reserve(2)
    this.#bytes[at] = value >>> 8
    this.#bytes[at + 1] = value
    return this
  }

  u32(value: number): this {
    // Shifts, not a DataView: a writer lives for one frame, and making a view costs as much as all its writes.
    const at = this.#reserve(4)
    this.#bytes[at] = value >>> 24
    this.#bytes[at + 1] = value >>> 16
    this.#bytes[at + 2] = value >>> 8
    this.#bytes[at + 3] = value
    return this
  }

  /** A safe integer as 64 bits. */
  u53(value: number): this {
    return this.u32(Math.floor(value / 0x1_0000_0000)).u32(value % 0x1_0000_0000)
  }

  /** LEB128 in its shortest form, of a safe integer that is not negative. */
  varint(value: number): this {
    let rest = value
    while (rest > 0x7f) {
      this.u8((rest % 128) | 0x80)
      rest = Math.floor(rest / 128)
    }
    return this.u8(rest)
  }

  bytes(bytes: Uint8Array): this {
    const at = this.#reserve(bytes.length)
    this.#bytes.set(bytes, at)
    return this
  }

  /** Bytes preceded by their length as a varint. */
  block(bytes: Uint8Array): this {
    return this.varint(bytes.length).bytes(bytes)
  }

  /** UTF-8 preceded by its length as a varint; halves of surrogate pairs become U+FFFD. */
  text(value: string): this {
    return this.block(encodeUtf8(value))
  }

  /** Empties the writer but keeps its buffer: earlier results of `view` are overwritten. */
  reset(): this {
    this.#length = 0
    return this
  }

  /** A copy of what was written; the writer may go on. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length)
  }

  /** What was written, without a copy; valid until the next write. */
  view(): Uint8Array<ArrayBuffer> {
    if (this.#view.length !== this.#length) this.#view = this.#bytes.subarray(0, this.#length)
    return this.#view
  }

  #reserve(length: number): number {
    const at = this.#length
    const needed = at + length
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
      grown.set(this.#bytes)
      this.#bytes = this.#view = grown
    }
    this.#length = needed
    return at
  }
}
