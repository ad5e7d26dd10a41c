import type { Clock } from "../ports/clock.ts"
import { type AttachedReplica, ReplicaError } from "../ports/replica.ts"
import { DecodeError } from "../protocol/decode-error.ts"
import { problemOfKey } from "../protocol/entry-key.ts"
import { createEntryPack, type EntryPack } from "../protocol/entry-words.ts"
import { createFingerprintIndex, type FingerprintIndex } from "../protocol/fingerprint-index.ts"
import { decodeIndexBlob, encodeIndexBlob } from "../protocol/index-blob.ts"
import type { KeyedDigest } from "../protocol/keyed-digest.ts"
import { sameBytes, sameDigest } from "../protocol/same-bytes.ts"

export interface IndexKeeperOptions {
  readonly attached: AttachedReplica
  readonly digests: KeyedDigest
  readonly kind: number
  readonly roomTag: Uint8Array
  readonly clock: Clock
  readonly onFailure: (cause: unknown) => void
  /** Whether an entry with this key may be in the index. */
  readonly accepts: (key: string) => boolean
}

/** Keeps the index of one replica, and a copy of it in the replica's store that makes the next start quick. */
export interface IndexKeeper {
  readonly index: FingerprintIndex
  /** Loads the stored index and replays what is newer, or scans everything. */
  open(signal?: AbortSignal): Promise<void>
  set(position: Uint8Array, digest: Uint8Array | null, key: string): void
  /** Stores once more if anything changed. */
  close(): Promise<void>
}

/**
 * A save reads what changed once more, so it waits for a pause in order not to slow down a first sync. The pause is long
 * because in storages that go by the time of a write, the next start reads again what was written just before the save
 * (RxDB: 5 s).
 */
const PAUSE_MS = 6_000
const LONGEST_WAIT_MS = 60_000
/** A first sync is stored when it pauses: scanning again after a crash costs less than scanning twice along the way. */
const CHANGES_BEFORE_SAVE = 131_072

export function createIndexKeeper(options: IndexKeeperOptions): IndexKeeper {
  const { attached, digests, kind, clock } = options
  const index = createFingerprintIndex()
  let cursor: Uint8Array | null = null
  let unsaved = 0
  /** Changes since a save was last tried. */
  let untried = 0
  /** `unsaved` when a pause was last looked for: asking the clock at every change would slow down a first sync. */
  let seen = 0
  let unsavedSince = 0
  let saving: Promise<void> | null = null
  let cancelTimer: (() => void) | null = null
  let closed = false

  const loadStored = async (): Promise<void> => {
    const blob = await attached.loadIndex()
    if (blob === null) return
    try {
      const stored = decodeIndexBlob(blob)
      if (!sameBytes(stored.roomTag, options.roomTag)) return
      index.build(stored.entries)
      cursor = stored.cursor
    } catch (error) {
      // A cache that cannot be read is a cache that is not there.
      if (!(error instanceof DecodeError)) throw error
      index.clear()
      cursor = null
    }
  }

  const replay = async (signal?: AbortSignal): Promise<void> => {
    let fresh: EntryPack | null = cursor === null ? createEntryPack() : null
    for await (const page of attached.scan(cursor, signal === undefined ? {} : { signal })) {
      for (const { key, stateHash } of page.entries) {
        if (!options.accepts(key)) continue
        const position = digests.position(key)
        unsaved++
        if (stateHash === null) {
          // The entry may be among those not built yet: they are built now, and the rest is applied one by one.
          if (fresh !== null) index.build(fresh)
          fresh = null
          index.delete(position)
          continue
        }
        const digest = digests.digest(kind, key, stateHash)
        if (fresh !== null) fresh.add(position, digest, key)
        else index.set(position, digest, key)
      }
      cursor = page.cursor
    }
    if (fresh !== null) index.build(fresh)
  }

  /** The cursor that a stored index may carry; null while a change on disk is not in the index yet. */
  const newestCursor = async (): Promise<Uint8Array | null> => {
    let newest = cursor
    for await (const page of attached.scan(cursor)) {
      for (const { key, stateHash } of page.entries) {
        if (problemOfKey(key) !== null) continue
        const held = index.get(digests.position(key))?.digest ?? null
        const expected = stateHash === null ? null : digests.digest(kind, key, stateHash)
        if (!sameDigest(held, expected)) return null
      }
      newest = page.cursor
    }
    return newest
  }

  const save = async (): Promise<void> => {
    const before = unsaved
    const newest = await newestCursor()
    if (newest === null) return
    cursor = newest
    await attached.saveIndex(encodeIndexBlob({ roomTag: options.roomTag, cursor, index }))
    unsaved -= before
  }

  const startSaving = (): void => {
    cancelTimer?.()
    cancelTimer = null
    if (saving !== null || unsaved === 0) return
    untried = 0
    unsavedSince = clock.monotonic()
    saving = save()
      .catch(options.onFailure)
      .finally(() => {
        saving = null
        if (unsaved > 0 && !closed) scheduleSave()
      })
  }

  const scheduleSave = (): void => {
    if (cancelTimer === null) awaitPause()
  }

  const awaitPause = (): void => {
    seen = unsaved
    cancelTimer = clock.after(PAUSE_MS, () => {
      if (unsaved === seen || clock.monotonic() - unsavedSince >= LONGEST_WAIT_MS) startSaving()
      else awaitPause()
    })
  }

  return {
    index,
    async open(signal) {
      await loadStored()
      try {
        await replay(signal)
      } catch (error) {
        if (!(error instanceof ReplicaError) || error.code !== "stale-cursor") throw error
        index.clear()
        cursor = null
        await replay(signal)
      }
      if (unsaved > 0) scheduleSave()
    },
    set(position, digest, key) {
      if (digest === null) index.delete(position)
      else index.set(position, digest, key)
      if (unsaved === 0) unsavedSince = clock.monotonic()
      unsaved++
      untried++
      if (closed) return
      if (untried >= Math.max(CHANGES_BEFORE_SAVE, index.count >> 1)) startSaving()
      else scheduleSave()
    },
    async close() {
      closed = true
      cancelTimer?.()
      cancelTimer = null
      await saving
      if (unsaved > 0) await save().catch(options.onFailure)
    },
  }
}
