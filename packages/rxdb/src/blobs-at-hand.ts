import type { Clock } from "@dunlin/core"

/**
 * Attachments that peers are fetching now. Serving one chunk means reading, and decrypting, the whole attachment: if
 * several are fetched at a time, each would be read again for every few chunks.
 */
export interface BlobsAtHand {
  /** Null when there is none. */
  read(key: string, digest: string): Promise<Uint8Array | null>
  /** Its last chunk was read: most likely nobody asks for it again. */
  release(key: string, digest: string): void
}

interface BlobAtHand {
  readonly data: Promise<Uint8Array | null>
  /** 0 until the data is loaded. */
  bytes: number
  usedAt: number
}

/** Beyond this, one more attachment of any length is kept until the next one comes. */
export const MAX_BYTES_AT_HAND: number = 64 * 1024 * 1024
/** Frees attachments whose peer went away before it fetched the last chunk. */
const UNUSED_MS = 30_000

export function createBlobsAtHand(
  clock: Clock,
  load: (key: string, digest: string) => Promise<Uint8Array | null>,
): BlobsAtHand {
  const blobsById = new Map<string, BlobAtHand>()
  /** The attachment beyond the limit. The others keep their place: a peer that fetches many asks for each in turn. */
  let guest: string | null = null

  const makeRoom = (newest: string): void => {
    const now = clock.monotonic()
    let bytes = 0
    for (const [id, blob] of blobsById) {
      if (now - blob.usedAt > UNUSED_MS) blobsById.delete(id)
      else bytes += blob.bytes
    }
    if (bytes <= MAX_BYTES_AT_HAND) return
    if (guest !== null && guest !== newest) blobsById.delete(guest)
    guest = newest
  }

  return {
    async read(key, digest) {
      const id = idOf(key, digest)
      const known = blobsById.get(id)
      if (known !== undefined) {
        known.usedAt = clock.monotonic()
        return known.data
      }
      const blob: BlobAtHand = { data: load(key, digest), bytes: 0, usedAt: clock.monotonic() }
      blobsById.set(id, blob)
      try {
        blob.bytes = (await blob.data)?.length ?? 0
      } finally {
        if (blob.bytes === 0) blobsById.delete(id)
      }
      makeRoom(id)
      return blob.data
    },
    release: (key, digest) => void blobsById.delete(idOf(key, digest)),
  }
}

function idOf(key: string, digest: string): string {
  return `${digest}/${key}`
}
