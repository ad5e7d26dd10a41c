import type { Clock } from "../ports/clock.ts"
import type { BlobRef } from "../ports/replica.ts"
import { hasBit, setBit } from "../protocol/bitmap.ts"
import type { ChunkFrame, ChunkWantFrame } from "../protocol/frame.ts"
import type { Inbox, Receipt } from "../protocol/inbox.ts"
import { CHUNK_BYTES } from "../protocol/limits.ts"
import { mapKey } from "../protocol/map-key.ts"
import type { Outbox } from "../protocol/outbox.ts"
import { NO_BYTES, sameBytes } from "../protocol/same-bytes.ts"
import type { LinkReplica } from "./link-replica-api.ts"

/** An entry that was received without the blobs that it refers to. */
export interface EntryWithoutBlobs {
  readonly own: LinkReplica
  readonly key: string
  readonly position: Uint8Array
  readonly blobs: readonly BlobRef[]
  /** Bytes of credit and memory that it occupies. */
  readonly heldBytes: number
  /** Called once, unless the link closes first: true to join the entry again, false if the peer cannot deliver. */
  readonly ended: (again: boolean) => void
}

/** Fetches the blobs that entries refer to from one peer, chunk by chunk, and serves the peer's requests. */
export interface BlobExchange {
  /**
   * An entry for a position that already waits is retried after the first one, however that ends. False when too much
   * waits: a later reconciliation finds the entry again.
   */
  fetch(entry: EntryWithoutBlobs): boolean
  received(frame: ChunkFrame, receipt: Receipt): void
  wanted(own: LinkReplica | null, frame: ChunkWantFrame): void
  /** Sends chunks while the bulk lane takes them, and fetches more once what was fetched is joined. */
  pump(): void
  close(): void
}

export interface BlobExchangeOptions {
  readonly outbox: Outbox
  readonly inbox: Pick<Inbox, "settle">
  readonly clock: Clock
  /** When the link last brought anything other than a push: chunks queue behind whatever else was asked for. */
  readonly heardAt: () => number
  readonly flush: () => void
}

interface WaitingEntry extends EntryWithoutBlobs {
  readonly id: string
  readonly places: number
  /** What came for the same position meanwhile. */
  readonly behind: EntryWithoutBlobs[]
  /** Chunks asked for and not stored yet, of the blob that is being fetched. */
  out: Set<number>
  blob: BlobRef | null
  /** When its fetching began or a chunk was last stored; `Infinity` while it waits for its turn. */
  progressAt: number
}

interface Serving {
  readonly own: LinkReplica
  /** Undefined if the entry is gone: then none of its chunks is held. */
  readonly key: string | undefined
  readonly position: Uint8Array
  readonly blob: Uint8Array
  /** Chunks still to send, the next one first. */
  indices: number[]
}

/** Credit comes back in steps of 1 MiB: if more of it were kept, no chunk could come. Entries only name digests, so some thousand fit. */
const MAX_WAITING_BYTES = 786_432
/**
 * Blobs being fetched on one link, or fetched and not joined yet: a replica sets aside a bounded number of blobs and bytes.
 * A blob takes one place for each 4 MB or part of it.
 */
const MAX_PLACES = 64
const PLACE_BYTES = 4_000_000
/** 1 MiB on the way: half the credit window. One request gets no more, so that a short one cannot cause thousands of answers. */
const CHUNKS_OUT = 16
const STALLED_MS = 30_000
/** A peer never brings what it cannot read, and on a link that is never quiet such an entry would keep others out of its places. */
const LONGEST_MS = 1_800_000
const MAX_SERVING = 256

export function createBlobExchange({
  outbox,
  inbox,
  clock,
  heardAt,
  flush,
}: BlobExchangeOptions): BlobExchange {
  const waitingById = new Map<string, WaitingEntry>()
  const serving: Serving[] = []
  let reading = false
  let closed = false
  let waitingBytes = 0
  let cancelWatch: (() => void) | null = null

  const isWaiting = (entry: WaitingEntry): boolean => waitingById.get(entry.id) === entry

  const finish = (entry: WaitingEntry, again: boolean): void => {
    if (!isWaiting(entry)) return
    waitingById.delete(entry.id)
    waitingBytes -= entry.heldBytes
    entry.ended(again)
    for (const { heldBytes, ended } of entry.behind) {
      waitingBytes -= heldBytes
      ended(true)
    }
    fetchNext()
  }

  const fetchNext = (): void => {
    let places = 0
    // Those that are being fetched come first, since they began in this order.
    for (const entry of waitingById.values()) {
      // One entry may always be fetched, however much it needs.
      const alone = places + entry.own.shared.joining === 0
      places += entry.places
      if (entry.progressAt < Infinity) continue
      if (!alone && places + entry.own.shared.joining > MAX_PLACES) return
      entry.progressAt = clock.monotonic()
      void advance(entry)
    }
  }

  const drop = (entry: WaitingEntry): void => {
    finish(entry, false)
    flush()
  }

  /** Asks for the next chunks of the first blob that is not complete; retries the entry when all blobs are. */
  const advance = async (entry: WaitingEntry): Promise<void> => {
    const store = entry.own.shared.attached.blobs
    if (store === undefined || entry.own.closed) return drop(entry)
    try {
      for (const blob of entry.blobs) {
        const missing = await store.missing(entry.key, blob)
        if (!isWaiting(entry)) return
        if (missing.length === 0) continue
        ask(entry, blob, missing.slice(0, CHUNKS_OUT))
        return
      }
    } catch {
      return drop(entry)
    }
    finish(entry, true)
  }

  const ask = (entry: WaitingEntry, blob: BlobRef, indices: readonly number[]): void => {
    const first = indices[0] as number
    const near = indices.filter((index) => index - first < 8 * 1_024)
    const bitmap = new Uint8Array((((near.at(-1) as number) - first) >> 3) + 1)
    for (const index of near) setBit(bitmap, index - first)
    entry.blob = blob
    entry.out = new Set(near)
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
    for (const entry of [...waitingById.values()]) {
      const ownMs = now - entry.progressAt
      const silentMs = Math.min(ownMs, now - heardAt())
      if (entry.own.closed || silentMs > STALLED_MS || ownMs > LONGEST_MS) drop(entry)
    }
    if (waitingById.size > 0) cancelWatch = clock.after(STALLED_MS / 4, watch)
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
    const index = request.indices.shift()
    if (index === undefined || request.own.closed) {
      serving.shift()
      return
    }
    const { own, key, position, blob } = request
    let bytes: Uint8Array | null = null
    try {
      if (key !== undefined) bytes = (await own.shared.attached.blobs?.read(key, blob, index)) ?? null
    } catch {
      // The peer is told "not held", and asks another one.
    }
    if (closed) return
    // Told once that a chunk is missing, the peer gives up the entry.
    if (bytes === null) request.indices = []
    const slot = own.shared.slot
    outbox.bulk({ type: "chunk", slot, position, blob, index, bytes: bytes ?? NO_BYTES }, null)
    flush()
  }

  return {
    fetch(entry) {
      const { own, position, heldBytes } = entry
      // One entry may always wait, however long it is.
      if (waitingById.size > 0 && waitingBytes + heldBytes > MAX_WAITING_BYTES) return false
      waitingBytes += heldBytes
      const id = waitingId(own.theirSlot, position)
      const ahead = waitingById.get(id)
      if (ahead !== undefined) {
        ahead.behind.push(entry)
        return true
      }
      const places = entry.blobs.reduce((sum, { size }) => sum + Math.ceil(size / PLACE_BYTES), 0)
      waitingById.set(id, {
        ...entry,
        id,
        places,
        behind: [],
        out: new Set(),
        blob: null,
        progressAt: Infinity,
      })
      cancelWatch ??= clock.after(STALLED_MS / 4, watch)
      fetchNext()
      return true
    },
    received(frame, receipt) {
      const entry = waitingById.get(waitingId(frame.slot, frame.position))
      if (entry?.blob == null || !sameBytes(entry.blob.digest, frame.blob) || !entry.out.has(frame.index))
        return inbox.settle(receipt)
      if (frame.bytes.length !== chunkLength(entry.blob.size, frame.index)) {
        inbox.settle(receipt)
        return drop(entry)
      }
      void store(entry, entry.blob, frame).finally(() => {
        inbox.settle(receipt)
        if (!closed) flush()
      })
    },
    wanted(own, frame) {
      if (own === null || !own.permissions.send || serving.length >= MAX_SERVING) return
      const { position, blob } = frame
      const key = own.shared.index.get(position)?.key
      serving.push({ own, key, position, blob, indices: wantedChunks(frame) })
      void serve()
    },
    pump() {
      fetchNext()
      if (serving.length > 0) void serve()
    },
    close() {
      closed = true
      cancelWatch?.()
      waitingById.clear()
      serving.length = 0
    },
  }
}

function wantedChunks({ size, first, bitmap }: ChunkWantFrame): number[] {
  const indices: number[] = []
  const end = Math.min(bitmap.length * 8, Math.ceil(size / CHUNK_BYTES) - first)
  for (let bit = 0; bit < end && indices.length < CHUNKS_OUT; bit++)
    if (hasBit(bitmap, bit)) indices.push(first + bit)
  return indices
}

function chunkLength(size: number, index: number): number {
  return Math.min(CHUNK_BYTES, size - index * CHUNK_BYTES)
}

function waitingId(slot: number, position: Uint8Array): string {
  return `${slot}/${mapKey(position)}`
}
