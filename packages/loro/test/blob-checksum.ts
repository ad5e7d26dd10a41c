import { CHECKSUM_OFFSET, checksumOf } from "../src/replica/blob-checksum.ts"

/** Writes the checksum without which Loro would not look at a crafted blob, as any hostile peer can. */
export function writeChecksum(blob: Uint8Array): Uint8Array {
  new DataView(blob.buffer, blob.byteOffset).setUint32(CHECKSUM_OFFSET, checksumOf(blob), true)
  return blob
}
