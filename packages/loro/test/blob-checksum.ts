import { CHECKSUM_OFFSET, checksumOf } from "../src/replica/blob-checksum.ts"

/** Writes the checksum that a crafted blob needs to be looked at, as any hostile peer can. */
export function writeChecksum(blob: Uint8Array): Uint8Array {
  new DataView(blob.buffer, blob.byteOffset).setUint32(CHECKSUM_OFFSET, checksumOf(blob), true)
  return blob
}
