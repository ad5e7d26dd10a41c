/** Bit `i` is bit `i mod 8`, lowest first, of byte `⌊i / 8⌋`. */
export function hasBit(bitmap: Uint8Array, bit: number): boolean {
  return (((bitmap[bit >> 3] as number) >> (bit & 7)) & 1) === 1
}

export function setBit(bitmap: Uint8Array, bit: number): void {
  bitmap[bit >> 3] = (bitmap[bit >> 3] as number) | (1 << (bit & 7))
}
