import { ByteWriter } from "@dunlin/core"

const ASIDE_PREFIX = "damaged/"

/** Name of the blob with what could not be read of a document that goes on without it. */
export function asideBlob(id: string): string {
  return ASIDE_PREFIX + id
}

/** The document id in such a name, for stores that hide ids; null for any other blob. */
export function idOfAside(blob: string): string | null {
  return blob.startsWith(ASIDE_PREFIX) ? blob.slice(ASIDE_PREFIX.length) : null
}

/** `count varint | blocks`. */
export function packAside(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const write = new ByteWriter(pieces.reduce((sum, piece) => sum + piece.length + 5, 5)).varint(pieces.length)
  for (const piece of pieces) write.block(piece)
  return write.finish()
}
