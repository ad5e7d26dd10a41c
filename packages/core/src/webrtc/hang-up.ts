import { ByteReader } from "../protocol/byte-reader.ts"
import { ByteWriter } from "../protocol/byte-writer.ts"

/** Why a connection attempt is refused, or a connection is given up, as told to the other side. */
export type HangUp =
  | { readonly reason: "lost" } // the connection of that id no longer exists here
  | { readonly reason: "full"; readonly count: number; readonly limit: number }

const reasonNumbers = { lost: 0, full: 1 } as const

export function encodeHangUp(hangUp: HangUp): Uint8Array {
  const write = new ByteWriter(8).u8(reasonNumbers[hangUp.reason])
  if (hangUp.reason === "full") write.u16(hangUp.count).u16(hangUp.limit)
  return write.finish()
}

/** Throws `DecodeError`. An unknown reason, of a later version, reads as "lost". */
export function decodeHangUp(payload: Uint8Array): HangUp {
  const read = new ByteReader(payload)
  if (read.u8() !== reasonNumbers.full) return { reason: "lost" }
  return { reason: "full", count: read.u16(), limit: read.u16() }
}
