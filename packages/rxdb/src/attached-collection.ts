import {
  type AttachedReplica,
  type BlobStore,
  type Clock,
  decodeSummary,
  DecodeError,
  deltaFor,
  encodeDelta,
  encodeSummary,
  type ReadOutcome,
  type ReadRequest,
  ReplicaError,
  type ReplicaHost,
  shownValue,
  type State,
  stateHash,
  summarizeRegister,
} from "@dunlin/core"
import type { AttachmentShelf } from "./attachment-shelf.ts"
import { base64FromBytes, bytesFromBase64 } from "./byte-text.ts"
import { scanCollection, type ScanDeps } from "./collection-scan.ts"
import { joinBatch, type JoinBatchDeps } from "./join-batch.ts"
import { watchLocalChanges } from "./local-changes.ts"
import type { Modifiers } from "./modifiers.ts"
import type { Held } from "./register-store.ts"
import { assertShared, type Reasons } from "./set-aside.ts"
import type { Sidecar } from "./sidecar.ts"
import { holdsUnmigrated } from "./sidecar-record.ts"

export interface AttachedCollectionDeps<Handle> extends ScanDeps, JoinBatchDeps {
  readonly clock: Clock
  readonly host: ReplicaHost
  readonly handle: Handle
  readonly sidecar: Sidecar
  readonly shelf: AttachmentShelf
  readonly modifiers: Modifiers
  readonly holdsAttachments: boolean
  /** Whether documents of this device may travel. */
  readonly sends: boolean
  readonly setAside: State<Reasons>
  /** How many times documents have left that list. */
  readonly freedCount: () => number
  /** Stops every wait for the application's modifiers. */
  readonly giveUp: () => void
  /** Frees what was opened for this attachment to a room. */
  readonly release: () => Promise<void>
}

/** A collection that is attached to a room. */
export interface AttachedCollection<Handle> extends AttachedReplica<Handle> {
  /** Resolves once the collection is detached, whoever detached it. */
  readonly left: Promise<void>
  /** Soon tries these documents again, which could not be shared. */
  tryAgain(keys: readonly string[]): void
  /** The same at once, for one that can be shared now. */
  tryNow(key: string): void
}

const INDEX_RECORD = "index"

/** A collection in a room. Every operation takes its turn in one queue. */
export function attachedCollection<Handle>(deps: AttachedCollectionDeps<Handle>): AttachedCollection<Handle> {
  const { store, queue, host, sidecar } = deps
  let detached: Promise<void> | null = null
  let leave = (): void => {}
  const left = new Promise<void>((resolve) => {
    leave = resolve
  })

  const changes = watchLocalChanges({
    ...deps,
    changed: (list) => {
      if (detached === null && list.length > 0) host.changed(list)
    },
    failed: (cause) =>
      deps.report({
        type: "warning",
        reason: "local changes could not be read back; they are tried again",
        cause,
      }),
  })

  const assertAttached = (): void => {
    if (detached !== null) throw new ReplicaError("replica-closed", "The collection has left the room.")
  }

  const { scanned, scannedUpTo } = changes.unheard
  const watcher = { scanned, scannedUpTo, unread: changes.tryAgain }

  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    assertAttached()
    return queue.run(work)
  }

  const blobsUnderWay = new Set<Promise<unknown>>()
  /** Blobs are read and written beside the queue, because they take long. */
  const besideTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    assertAttached()
    const done = work()
    blobsUnderWay.add(done)
    try {
      return await done
    } finally {
      blobsUnderWay.delete(done)
    }
  }

  const { missing, read, write } = deps.shelf.blobs
  const blobs: BlobStore = {
    missing: (key, blob) => besideTurn(() => missing(key, blob)),
    read: (key, digest, index) => besideTurn(() => read(key, digest, index)),
    write: (key, blob, index, bytes) => besideTurn(() => write(key, blob, index, bytes)),
  }

  return {
    handle: deps.handle,
    left,
    tryAgain: changes.tryAgain,
    tryNow: changes.tryNow,
    ...(deps.holdsAttachments ? { blobs } : {}),
    scan: (since, options) => scanCollection(deps, watcher, since, options?.signal),
    async loadIndex() {
      const stored = (await sidecar.get([INDEX_RECORD])).get(INDEX_RECORD)
      try {
        return stored === undefined ? null : bytesFromBase64(stored)
      } catch {
        // It is damaged. All it saves is time.
        return null
      }
    },
    saveIndex: (blob) => sidecar.put(new Map([[INDEX_RECORD, base64FromBytes(blob)]])),
    summarize: (keys) =>
      inTurn(async () => {
        const heldByKey = byKey(await store.load([...new Set(keys)]))
        return keys.map((key) => {
          const held = heldByKey.get(key)
          return held === undefined ? new Uint8Array(0) : encodeSummary(summarizeRegister(held.state))
        })
      }),
    read: (requests, peer) =>
      inTurn(async () => {
        const heldByKey = byKey(await store.load([...new Set(requests.map((request) => request.key))]))
        if (deps.traffic.observed) tellSent(deps, peer.session, [...heldByKey.values()])
        return requests.map((request) => readOne(request, heldByKey.get(request.key)))
      }),
    async flush() {
      if (detached === null) await changes.flush()
    },
    assertShared({ keys, peers }) {
      if (deps.sends && peers !== 0) assertShared(deps.setAside.get(), keys)
    },
    unblocked: deps.freedCount,
    join: (entries, peer) => inTurn(() => joinBatch(deps, entries, peer)),
    detach() {
      detached ??= (async () => {
        deps.giveUp()
        await changes.stop()
        await Promise.allSettled(blobsUnderWay)
        await queue.drained()
        await deps.release()
        leave()
      })()
      return detached
    },
  }
}

function tellSent(
  { traffic, shape }: Pick<JoinBatchDeps, "traffic" | "shape">,
  peer: string | null,
  list: readonly Held[],
): void {
  const documents = list.flatMap(({ key, state }) => {
    const shown = shownValue(state)
    return shown === null ? [] : [shape.documentOf(key, shown)]
  })
  traffic.next({ direction: "sent", peer, documents })
}

function readOne({ summary }: ReadRequest, held: Held | undefined): ReadOutcome {
  if (held === undefined || held.state.context.size === 0) return { type: "none" }
  if (holdsUnmigrated(held.state, held.record))
    return { type: "refused", reason: "a migration strategy failed for it" }
  try {
    const delta = encodeDelta(deltaFor(held.state, decodeSummary(summary)))
    return { type: "delta", stateHash: stateHash(held.state), delta }
  } catch (error) {
    if (error instanceof DecodeError) return { type: "refused", reason: error.message }
    throw error
  }
}

function byKey(list: readonly Held[]): ReadonlyMap<string, Held> {
  return new Map(list.map((held) => [held.key, held]))
}
