import {
  canonicalJson,
  type Direction,
  hashValue,
  type JsonObject,
  KIND_RXDB,
  type Replica,
  ReplicaError,
  type ReplicaHost,
  type ReplicaReport,
  type State,
  systemClock,
  systemRandom,
} from "@dunlin/core"
import type { RxCollection } from "rxdb"
import { defaultHashSha256, now } from "rxdb/plugins/core"
import type { Observable } from "rxjs"
import { type AttachedCollection, attachedCollection } from "./attached-collection.ts"
import { type AttachmentProgress, attachmentShelf } from "./attachment-shelf.ts"
import { hexFromBytes } from "./byte-text.ts"
import { type CollectionHandle, createCollectionHandle } from "./collection-handle.ts"
import { type CollectionLock, collectionLock, sharedDatabaseName, sharesStorage } from "./collection-lock.ts"
import { collectionRows } from "./collection-rows.ts"
import type { ResolvedConflict } from "./conflict-log.ts"
import type { DocumentData } from "./document-shape.ts"
import type { DocumentTraffic } from "./document-traffic.ts"
import { noCollection } from "./given-collection.ts"
import { changeOf } from "./local-changes.ts"
import { createMaterialiser } from "./materialiser.ts"
import { createRowJournal } from "./row-journal.ts"
import { isMergeFields, mergePolicy } from "./merge-policy.ts"
import { documentModifiers, type Modifier } from "./modifiers.ts"
import { createOwedRows } from "./owed-rows.ts"
import { createRegisterStore, type RegisterStoreDeps } from "./register-store.ts"
import { createSerialQueue } from "./serial-queue.ts"
import { openSidecar, removeSidecarWith, type Sidecar } from "./sidecar.ts"
import { stamperOf } from "./stamper.ts"
import { createSyncedDesk, type SyncedDesk } from "./synced-desk.ts"
import { openTabChannel } from "./tab-channel.ts"

/** How a collection takes part in a room. */
export interface RxdbReplicaOptions<RxDocType = DocumentData> {
  /** Pairs collections across peers; the collection's name by default. */
  readonly name?: string
  /** "both" by default; what one side does not send or take, the other does not expect. */
  readonly direction?: Direction
  /** What others see of a local document: the modifier runs once for each write, and null keeps it on this device. */
  readonly push?: { readonly modifier?: Modifier<RxDocType> }
  /** How a shared document is kept here; what others see of it stays as it is. */
  readonly pull?: { readonly modifier?: Modifier<RxDocType> }
}

/** What `room.replicate(rxdbReplica(collection))` resolves to. */
export interface RxdbHandle<RxDocType = DocumentData> {
  /** The collection that was passed. */
  readonly collection: RxCollection<RxDocType>
  /** This device in the room: 64 hex digits of its public key, as others see it in `isPeerValid`. */
  readonly device: string
  /** Every merge of concurrent writes: what was merged, from what. */
  readonly conflicts$: Observable<ResolvedConflict<RxDocType>>
  /** The last conflicts that a write lost, up to a hundred losers: an application can offer to restore one. */
  recentConflicts(): readonly ResolvedConflict<RxDocType>[]
  /** Documents that were refused, handlers that failed, and other troubles that stopped nothing. */
  readonly error$: Observable<ReplicaReport>
  /** Documents as they come from and go to peers. */
  readonly traffic$: Observable<DocumentTraffic<RxDocType>>
  /** The data of attachments as it comes, chunk by chunk. */
  readonly attachments$: Observable<AttachmentProgress>
  /**
   * Whether another tab replicates the collection. This one then writes, is written to, and has no links; it takes over, with
   * this handle, when that tab closes or crashes.
   */
  readonly standingBy: State<boolean>
  /** How far each connected peer is, by session id. */
  readonly links: ReplicaHost["links"]
  /** Withdraws the collection from the room. Idempotent. */
  close(): Promise<void>
  /**
   * Resolves when other devices hold every write that was complete before the call. Same rules as `room.synced()`. A tab that stands
   * by asks the one that replicates.
   */
  synced: ReplicaHost["synced"]
}

/**
 * A replica for a collection. From this call on, writes of this tab are stamped as they happen, whether or not a
 * room has the replica: make it right after `addCollections()`, in every tab.
 */
export function rxdbReplica<RxDocType>(
  collection: RxCollection<RxDocType>,
  options: RxdbReplicaOptions<NoInfer<RxDocType>> = {},
): Replica<RxdbHandle<RxDocType>> {
  const complaint = noCollection(collection)
  if (complaint !== null) throw new ReplicaError("invalid-option", `rxdbReplica(collection): ${complaint}`)
  return lockedReplica(collection, options, collectionLock(collection))
}

/** The same for a caller that may hold the collection's lock already. */
export function lockedReplica<RxDocType>(
  collection: RxCollection<RxDocType>,
  options: RxdbReplicaOptions<RxDocType>,
  lock: CollectionLock,
): Replica<RxdbHandle<RxDocType>> {
  // Inside, documents are rows of any type; what comes out of a collection is of its type because RxDB says so.
  const replica: unknown = replicaOfRows(collection, options as RxdbReplicaOptions, lock)
  return replica as Replica<RxdbHandle<RxDocType>>
}

function replicaOfRows(
  collection: RxCollection,
  options: RxdbReplicaOptions,
  lock: CollectionLock,
): Replica<RxdbHandle> {
  const holdsAttachments = collection.schema.jsonSchema.attachments !== undefined
  if (holdsAttachments && collection.database.hashFunction !== defaultHashSha256)
    throw new ReplicaError(
      "invalid-option",
      `Attachments of "${collection.name}" travel by SHA-256. Create the database without a hashFunction of its own.`,
    )
  const { name = collection.name, direction = "both" } = options
  const stamper = stamperOf(collection, {
    mergesFields: isMergeFields(collection.conflictHandler),
    hasPushModifier: options.push?.modifier !== undefined,
  })
  removeSidecarWith(collection)

  return {
    name,
    kind: KIND_RXDB,
    schemaTag: schemaTag(collection),
    direction,
    async attach(host, { signal, standBy } = {}) {
      const giveBack = stamper.claim(name)
      const { onClose } = collection
      const leaving = new AbortController()
      const over = settling()
      let opening: Promise<AttachedCollection<RxdbHandle>> | null = null
      let left: Promise<void> | null = null
      let desk: SyncedDesk | null = null
      const leave = (): Promise<void> => (left ??= leaveRoom())
      const leaveRoom = async (): Promise<void> => {
        const closed = new ReplicaError("replica-closed", `The collection "${collection.name}" was closed.`)
        // At once: what is withdrawn has nothing to wait for, and a wait for nothing resolves.
        desk?.close()
        own.end(closed)
        leaving.abort(closed)
        if (own.handle.standingBy.get()) host.released()
        // It may close while it joins: it has joined, or failed to, before it leaves.
        const attached = await opening?.catch(() => null)
        if (attached != null) await withdraw(host, attached)
        else await nextTurnAfter(over.settled)
      }
      const own = createCollectionHandle({ collection, host, leave })
      onClose.push(leave)
      let unlock = (): Promise<void> => Promise.resolve()
      const release = async (): Promise<void> => {
        desk?.close()
        // A room that could not go on with what it attached knows it no more, and a wait for what it does not know resolves.
        own.end(
          signal?.aborted === true
            ? signal.reason
            : new ReplicaError("replica-closed", `The collection "${collection.name}" has left the room.`),
        )
        own.complete()
        onClose.splice(onClose.indexOf(leave), 1)
        await unlock()
        giveBack()
      }
      const channel = () => openTabChannel(channelName(host))
      try {
        if (collection.closed) void leave()
        const signals = signal === undefined ? [leaving.signal] : [leaving.signal, signal]
        unlock = await lock.acquire({
          signal: AbortSignal.any(signals),
          waits() {
            if (standBy === undefined) return
            own.standBy(channel())
            const reason = `another tab replicates "${collection.name}"; this one takes over when that closes`
            host.report({ type: "standing-by", reason })
            standBy({ handle: own.handle, synced: own.handle.synced })
          },
        })
        leaving.signal.throwIfAborted()
        own.takeOver()
        opening = open(host, own, release)
        const attached = await opening
        if (sharesStorage(collection) && !leaving.signal.aborted)
          desk = createSyncedDesk({ channel: channel(), clock: systemClock(), synced: own.handle.synced })
        return attached
      } catch (error) {
        own.end(error)
        await release()
        throw error
      } finally {
        over.settle()
      }
    },
  }

  /** Whoever speaks there stores the same rows and sends them to the same devices, or as little. */
  function channelName({ roomTag }: ReplicaHost): string {
    const parts = [
      collection.database.storage.name,
      sharedDatabaseName(collection),
      collection.name,
      schemaTag(collection),
      hexFromBytes(roomTag),
      name,
      direction,
    ]
    return `dunlin-rxdb/${JSON.stringify(parts)}`
  }

  async function open(
    host: ReplicaHost,
    own: CollectionHandle,
    release: () => Promise<void>,
  ): Promise<AttachedCollection<RxdbHandle>> {
    const sidecar = await openSidecar(collection)
    try {
      return await openBeside(sidecar, host, own, release)
    } catch (error) {
      await sidecar.close()
      throw error
    }
  }

  async function openBeside(
    sidecar: Sidecar,
    host: ReplicaHost,
    own: CollectionHandle,
    release: () => Promise<void>,
  ): Promise<AttachedCollection<RxdbHandle>> {
    const meta = await openMeta(sidecar)
    const { conflicts, error$, traffic$, attachments$ } = own
    const report = (one: ReplicaReport): void => {
      host.report(one)
      error$.next(one)
    }
    const { shape } = stamper
    const rows = collectionRows(collection, shape)
    const clock = systemClock()
    const shelf = attachmentShelf(shape.attachments, rows, sidecar, clock, (progress) =>
      attachments$.next(progress),
    )
    const modifiers = documentModifiers(shape, {
      ...(options.push?.modifier === undefined ? {} : { push: options.push.modifier }),
      ...(options.pull?.modifier === undefined ? {} : { pull: options.pull.modifier }),
    })
    const storeDeps: RegisterStoreDeps = {
      collection,
      shape,
      rows,
      sidecar,
      stamper,
      policy: mergePolicy(collection, shape),
      modifiers,
      report,
      bornBefore: meta.bornBefore,
      holdsRecords: meta.holdsRecords,
      firstRecord: () => [META_RECORD, JSON.stringify({ ...meta, holdsRecords: true } satisfies StoreMeta)],
    }
    const store = createRegisterStore(storeDeps)
    const journal = createRowJournal(sidecar)
    const queue = createSerialQueue()
    const materialiser = createMaterialiser({
      store,
      rows,
      shape,
      modifiers,
      stamper,
      shelf,
      holdsAttachments,
      journal,
      report,
      unshown(left) {
        host.changed(left.map(({ key, held, state }) => changeOf(key, held.state, state)))
        owedRows.showLater()
      },
    })
    const owedRows = createOwedRows({ show: () => materialiser.materialise([]), queue, clock, report })
    await journal.open()
    await owedRows.show()
    try {
      // Behind that: what is shown only now may need data that waited longer than data without a document may.
      if (holdsAttachments) await shelf.sweep()
    } catch (error) {
      owedRows.stop()
      throw error
    }
    // Every chunk that was on the shelf leaves one; documents alone leave few. Nobody waits for it.
    if (holdsAttachments)
      void sidecar
        .purge(REMOVED_FOR_MS)
        .catch((cause: unknown) =>
          report({ type: "warning", reason: "what was removed beside the rows still takes room", cause }),
        )
    return attachedCollection<RxdbHandle>({
      clock,
      collection,
      host,
      handle: own.handle,
      traffic: traffic$,
      shape,
      store,
      materialiser,
      sidecar,
      stamper,
      shelf,
      conflicts,
      queue,
      report,
      storeId: meta.storeId,
      holdsAttachments,
      async release() {
        owedRows.stop()
        await sidecar.close()
        await release()
      },
    })
  }
}

/** A promise with its inner side. */
function settling(): { readonly settled: Promise<void>; settle(): void } {
  let settle = (): void => {}
  const settled = new Promise<void>((resolve) => {
    settle = resolve
  })
  return { settled, settle: () => settle() }
}

/** The room takes a moment to free the name of what did not attach. */
async function nextTurnAfter(settled: Promise<void>): Promise<void> {
  await settled
  await new Promise<void>((resolve) => {
    setTimeout(resolve)
  })
}

/** Longer than any stored index is behind what it is an index of. */
const REMOVED_FOR_MS = 24 * 60 * 60 * 1000

/** The room detaches what is released; a host that does not gets no longer than this. */
const WITHDRAW_TIMEOUT_MS = 2_000

/** Lets the room store its index and detach, and detaches in any case before the collection closes. */
async function withdraw(host: ReplicaHost, attached: AttachedCollection<RxdbHandle>): Promise<void> {
  host.released()
  let timer: ReturnType<typeof setTimeout> | undefined
  await Promise.race([
    attached.left,
    new Promise<void>((resolve) => {
      timer = setTimeout(resolve, WITHDRAW_TIMEOUT_MS)
    }),
  ])
  clearTimeout(timer)
  await attached.detach()
}

/** "v2 1f0e…": the version for people, the hash of the fields for two applications that both say 2. */
function schemaTag({ schema }: RxCollection): string {
  const { primaryKey, properties, required } = schema.getJsonSchemaWithoutMeta()
  const shape = JSON.parse(canonicalJson({ primaryKey, properties, required })) as JsonObject
  return `v${schema.version} ${hexFromBytes(hashValue({ deleted: false, payload: shape }).hash.subarray(0, 8))}`
}

const META_RECORD = "meta"

/** Facts about this store that outlive a session. */
interface StoreMeta {
  readonly storeId: string
  /** When Dunlin first saw the collection. */
  readonly bornBefore: number
  readonly holdsRecords: boolean
}

async function openMeta(sidecar: Sidecar): Promise<StoreMeta> {
  const stored = (await sidecar.get([META_RECORD])).get(META_RECORD)
  if (stored !== undefined) return JSON.parse(stored) as StoreMeta
  const meta: StoreMeta = {
    storeId: hexFromBytes(systemRandom().bytes(8)),
    bornBefore: now(),
    holdsRecords: false,
  }
  await sidecar.put(new Map([[META_RECORD, JSON.stringify(meta)]]))
  return meta
}
