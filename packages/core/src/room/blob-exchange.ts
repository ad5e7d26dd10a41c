import type { Clock } from "../ports/clock.ts"
import type { BlobRef } from "../ports/replica.ts"
import { mapKey } from "../protocol/bytes-equal.ts"
import type { ChunkFrame, ChunkWantFrame } from "../protocol/frame.ts"
import type { Receipt } from "../protocol/inbox.ts"
import { CHUNK_BYTES } from "../protocol/limits.ts"
import type { Outbox } from "../protocol/outbox.ts"
import type { LinkReplica } from "./link-replica.ts"

/** Fetches the blobs that entries refer to from one peer, chunk by chunk, and serves the peer's requests. */
export interface BlobExchange {
  /**
   * Fetches what is missing and then calls `retry`; `drop` when the peer cannot deliver. False when too many entries
   * wait already: the entry is found again by a later reconciliation.
   */
  fetch(
    own: LinkReplica,
    key: string,
    position: Uint8Array,
    blobs: readonly BlobRef[],
    heldBytes: number,
    retry: () => void,
    drop: () => void,
  ): boolean
  received(frame: ChunkFrame, receipt: Receipt): void
  wanted(own: LinkReplica | null, frame: ChunkWantFrame): void
  /** Sends chunks while the bulk lane takes them. */
  pump(): void
  close(): void
}

export interface BlobExchangeOptions {
  readonly outbox: Outbox
  readonly clock: Clock
  readonly settle: (receipt: Receipt) => void
  readonly flush: () => void
}

interface WaitingEntry {
  readonly own: LinkReplica
  readonly key: string
  readonly position: Uint8Array
  readonly blobs: readonly BlobRef[]
  readonly heldBytes: number
  readonly retry: () => void
  readonly drop: () => void
  /** Chunks asked for and not stored yet, of the blob that is being fetched. */
  out: Set<number>
  blob: BlobRef | null
  progressAt: number
}

interface Serving {
  readonly own: LinkReplica
  readonly key: string
  readonly position: Uint8Array
  readonly blob: Uint8Array
  readonly chunks: number
  readonly first: number
  readonly bitmap: Uint8Array
  /** The next bit to look at. */
  bit: number
}

/** Entries that wait keep their credit, and chunks need some of it too. */
const MAX_WAITING_BYTES = 1_048_576
const MAX_WAITING = 256
/** 1 MiB on the way: half the credit window. */
const CHUNKS_OUT = 16
const STALLED_MS = 30_000
const MAX_SERVING = 256

export function createBlobExchange({ outbox, clock, settle, flush }: BlobExchangeOptions): BlobExchange {
  const waitingByPosition = new Map<string, WaitingEntry>()
  const serving: Serving[] = []
  let reading = false
  let closed = false
  let cancelWatch: (() => void) | null = null

  const waitingBytes = (): number => {
    let bytes = 0
    for (const entry of waitingByPosition.values()) bytes += entry.heldBytes
    return bytes
  }

  const isWaiting = (entry: WaitingEntry): boolean =>
    waitingByPosition.get(waitingKey(entry.own, entry.position)) === entry

  const finish = (entry: WaitingEntry, end: () => void): void => {
    if (!isWaiting(entry)) return
    waitingByPosition.delete(waitingKey(entry.own, entry.position))
    if (!closed) end()
  }

  const drop = (entry: WaitingEntry): void => {
    finish(entry, entry.drop)
    flush()
  }

  /** Asks for the next chunks of the first blob that is not complete; retries the entry when all are. */
  const advance = async (entry: WaitingEntry): Promise<void> => {
    const store = entry.own.shared.attached.blobs
    if (store === undefined) {
      drop(entry)
      return
    }
    try {
      for (const blob of entry.blobs) {
        const missing = await store.missing(entry.key, blob)
        if (!isWaiting(entry)) return
        if (missing.length === 0) continue
        ask(entry, blob, missing.slice(0, CHUNKS_OUT))
        return
      }
    } catch {
      drop(entry)
      return
    }
    finish(entry, entry.retry)
  }

  const ask = (entry: WaitingEntry, blob: BlobRef, indices: readonly number[]): void => {
    const first = indices[0] as number
    const near = indices.filter((index) => index - first < 8 * 1_024)
    const bitmap = new Uint8Array(Math.floor(((near.at(-1) as number) - first) / 8) + 1)
    for (const index of near) {
      const bit = index - first
      bitmap[bit >> 3] = (bitmap[bit >> 3] as number) | (1 << (bit & 7))
    }
    entry.blob = blob
    entry.out = new Set(near)
    entry.progressAt = clock.monotonic()
    outbox.control({
      type: "chunk-want",
      slot: entry.own.shared.slot,
      position: entry.position,
      blob: blob.digest,
      size: blob.size,
      first,
      bitmap,
    })
    flush()
  }

  const watch = (): void => {
    cancelWatch = null
    const now = clock.monotonic()
    for (const entry of [...waitingByPosition.values()]) {
      if (entry.own.closed || now - entry.progressAt > STALLED_MS) drop(entry)
    }
    if (waitingByPosition.size > 0 && !closed) cancelWatch = clock.after(STALLED_MS / 4, watch)
  }

  const store = async (entry: WaitingEntry, blob: BlobRef, frame: ChunkFrame): Promise<void> => {
    try {
      const result = await entry.own.shared.attached.blobs?.write(entry.key, blob, frame.index, frame.bytes)
      entry.progressAt = clock.monotonic()
      entry.out.delete(frame.index)
      if (result === "corrupt") drop(entry)
      else if (entry.out.size === 0 && isWaiting(entry)) await advance(entry)
    } catch {
      drop(entry)
    }
  }

  const serve = async (): Promise<void> => {
    if (reading) return
    reading = true
    try {
      while (!closed && outbox.wantsBulk && serving.length > 0) await sendNext(serving[0] as Serving)
    } finally {
      reading = false
    }
    flush()
  }

  const sendNext = async (request: Serving): Promise<void> => {
    const index = nextChunk(request)
    if (index === null) {
      serving.shift()
      return
    }
    const { own, key, position, blob } = request
    let bytes: Uint8Array | null = null
    try {
      bytes = (await own.shared.attached.blobs?.read(key, blob, index)) ?? null
    } catch {
      // Said to the peer as "not held": it asks another one.
    }
    if (closed) return
    const slot = own.shared.slot
    outbox.bulk({ type: "chunk", slot, position, blob, index, bytes: bytes ?? new Uint8Array(0) }, null)
    flush()
  }

  return {
    fetch(own, key, position, blobs, heldBytes, retry, dropEntry) {
      const id = waitingKey(own, position)
      // One entry may always wait, however long it is.
      const waiting = waitingByPosition.size
      const full = waiting >= MAX_WAITING || (waiting > 0 && waitingBytes() + heldBytes > MAX_WAITING_BYTES)
      if (full || waitingByPosition.has(id)) return false
      const entry: WaitingEntry = {
        own,
        key,
        position,
        blobs,
        heldBytes,
        retry,
        drop: dropEntry,
        out: new Set(),
        blob: null,
        progressAt: clock.monotonic(),
      }
      waitingByPosition.set(id, entry)
      cancelWatch ??= clock.after(STALLED_MS / 4, watch)
      void advance(entry)
      return true
    },
    received(frame, receipt) {
      const entry = [...waitingByPosition.values()].find(
        ({ position, blob, out }) =>
          blob !== null &&
          mapKey(position) === mapKey(frame.position) &&
          mapKey(blob.digest) === mapKey(frame.blob) &&
          out.has(frame.index),
      )
      if (entry?.blob == null) {
        settle(receipt)
        return
      }
      if (frame.bytes.length !== chunkLength(entry.blob.size, frame.index)) {
        settle(receipt)
        drop(entry)
        return
      }
      void store(entry, entry.blob, frame).finally(() => {
        settle(receipt)
        if (!closed) flush()
      })
    },
    wanted(own, frame) {
      const key = own?.shared.index.get(frame.position)?.key
      if (own === null || key === undefined || !own.permissions.send || serving.length >= MAX_SERVING) return
      const { position, blob, first, bitmap } = frame
      const chunks = Math.ceil(frame.size / CHUNK_BYTES)
      serving.push({ own, key, position, blob, chunks, first, bitmap, bit: 0 })
      void serve()
    },
    pump() {
      if (serving.length > 0) void serve()
    },
    close() {
      closed = true
      cancelWatch?.()
      waitingByPosition.clear()
      serving.length = 0
    },
  }
}

/** The next chunk that the bitmap asks for; null behind the last. */
function nextChunk(request: Serving): number | null {
  const { bitmap, first, chunks } = request
  while (request.bit < bitmap.length * 8) {
    const bit = request.bit++
    const wanted = ((bitmap[bit >> 3] as number) >> (bit & 7)) & 1
    if (wanted === 1 && first + bit < chunks) return first + bit
  }
  return null
}

function chunkLength(size: number, index: number): number {
  return Math.min(CHUNK_BYTES, size - index * CHUNK_BYTES)
}

function waitingKey(own: LinkReplica, position: Uint8Array): string {
  return `${own.theirSlot}/${mapKey(position)}`
}
