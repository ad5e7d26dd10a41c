/** Randomness as an input. Production uses the cryptographic source, the simulator a seeded one. */
export interface Random {
  /** `length` fresh random bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer>
  /** Uniform in [0, 1); for jitter, never for secrets. */
  unit(): number
}

/** The platform's cryptographic source. */
export function systemRandom(): Random {
  const bytes = (length: number): Uint8Array<ArrayBuffer> => crypto.getRandomValues(new Uint8Array(length))
  return {
    bytes,
    unit: () => new DataView(bytes(4).buffer).getUint32(0) / 0x1_0000_0000,
  }
}
