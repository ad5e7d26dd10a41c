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
} from "@dunlin/core"
import type { RxCollection } from "rxdb"
import { defaultHashSha256 } from "rxdb/plugins/core"
import type { Observable } from "rxjs"
import type { AttachedCollection } from "./attached-collection.ts"
import type { AttachmentProgress } from "./attachment-shelf.ts"
import { hexFromBytes } from "./byte-text.ts"
import { createCollectionHandle } from "./collection-handle.ts"
import { type CollectionLock, collectionLock, sharedDatabaseName, sharesStorage } from "./collection-lock.ts"
import type { ResolvedConflict } from "./conflict-log.ts"
import { leaveBeforeClose } from "./database-close.ts"
import type { DocumentData } from "./document-shape.ts"
import type { DocumentTraffic } from "./document-traffic.ts"
import { noCollection } from "./given-collection.ts"
import { isMergeFields } from "./merge-policy.ts"
import type { Modifier } from "./modifiers.ts"
import { openCollection } from "./open-collection.ts"
import { removeSidecarWith } from "./sidecar.ts"
import { stamperOf } from "./stamper.ts"
import { createSyncedDesk, type SyncedDesk } from "./synced-desk.ts"
import { openTabChannel } from "./tab-channel.ts"

/** How a collection takes part in a room. */
export interface RxdbReplicaOptions<RxDocType = DocumentData> {
  /** Pairs collections across peers; the collection's name by default. */
  readonly name?: string | undefined
  /** "both" by default; what one side does not send or take, the other does not expect. */
  readonly direction?: Direction | undefined
  /** What others see of a local document: the modifier runs once for each write, and null keeps it on this device. */
  readonly push?: { readonly modifier?: Modifier<RxDocType> } | undefined
  /** How a shared document is kept here; what others see of it stays as it is. */
  readonly pull?: { readonly modifier?: Modifier<RxDocType> } | undefined
}

/** What `room.replicate(rxdbReplica(collection))` resolves to. */
export interface RxdbHandle<RxDocType = DocumentData> {
  /** The collection that was passed. */
  readonly collection: RxCollection<RxDocType>
  /** This device in the room: 64 hex digits of its public key, as others see it in `isPeerValid`. */
  readonly device: string
  /** Every merge of concurrent writes that differ: the result and the writes it was made from. */
  readonly conflicts$: Observable<ResolvedConflict<RxDocType>>
  /** The last conflicts in which writes lost, up to a hundred of them: an application can offer to restore one. */
  recentConflicts(): readonly ResolvedConflict<RxDocType>[]
  /** Documents that were refused, handlers that failed, and other problems that stopped nothing. */
  readonly error$: Observable<ReplicaReport>
  /** Documents as they come from and go to peers. */
  readonly traffic$: Observable<DocumentTraffic<RxDocType>>
  /** The data of attachments as it comes, chunk by chunk. */
  readonly attachments$: Observable<AttachmentProgress>
  /**
   * Whether another tab replicates the collection. This tab then writes and sees what peers write, but has no links.
   * When the other tab closes or crashes, this one takes over with the same handle.
   */
  readonly standingBy: State<boolean>
  /**
   * Documents of this device that cannot be shared as they are, by primary key, with the reason in words: for example, a
   * `Date` inside, or a `push.modifier` that throws. What peers write to them is kept, and merges once they can be shared:
   * when they are written again, and at the next start. In a tab that stands by, this is empty.
   */
  readonly setAside: State<ReadonlyMap<string, string>>
  /** How far each connected peer is, by session id. */
  readonly links: ReplicaHost["links"]
  /** Withdraws the collection from the room. Idempotent. */
  close(): Promise<void>
  /**
   * Resolves when other devices hold every write that was complete before the call. Same rules as `room.synced()`. A
   * tab that stands by asks the one that replicates. Rejects with `RoomError` "refused" when all else is held and `setAside`
   * lists documents that were asked for. What `push.modifier` keeps on this device is not waited for.
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
      `Attachments of "${collection.name}" are identified by SHA-256. Create the database without a hashFunction of its own.`,
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
      const leaving = new AbortController()
      const over = settling()
      let opening: Promise<AttachedCollection<RxdbHandle>> | null = null
      let left: Promise<void> | null = null
      let desk: SyncedDesk | null = null
      const leave = (): Promise<void> => (left ??= leaveRoom())
      const leaveRoom = async (): Promise<void> => {
        const closed = new ReplicaError("replica-closed", `The collection "${collection.name}" was closed.`)
        // First: the room has nothing to wait for in a withdrawn collection, and such a wait would resolve.
        desk?.close()
        own.end(closed)
        leaving.abort(closed)
        if (own.handle.standingBy.get()) host.released()
        // A collection may close while it joins: it has joined, or failed to, before it leaves.
        const attached = await opening?.catch(() => null)
        if (attached != null) await withdraw(host, attached)
        else {
          // Also when the collection could not take over: whoever closes it no longer waits for it.
          host.released()
          await nextTurnAfter(over.settled)
        }
      }
      const own = createCollectionHandle({ collection, host, leave })
      collection.onClose.push(leave)
      const stay = leaveBeforeClose(collection.database, leave)
      let unlock = (): Promise<void> => Promise.resolve()
      const release = async (): Promise<void> => {
        desk?.close()
        // A room that failed after attaching has forgotten the replica, and a wait for an unknown one resolves.
        own.end(
          signal?.aborted === true
            ? signal.reason
            : new ReplicaError("replica-closed", `The collection "${collection.name}" has left the room.`),
        )
        own.complete()
        // Not in place: a collection that is closing iterates over this list.
        collection.onClose = collection.onClose.filter((one) => one !== leave)
        stay()
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
            const reason = `another tab replicates "${collection.name}"; this one takes over when that one closes`
            host.report({ type: "standing-by", reason })
            standBy({ handle: own.handle, synced: own.handle.synced })
          },
        })
        leaving.signal.throwIfAborted()
        own.takeOver()
        opening = openCollection({ collection, stamper, options, holdsAttachments, host, own, release })
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

  /** All tabs on this channel store the same rows and share them alike with the same devices. */
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
}

/** A promise and the function that settles it. */
function settling(): { readonly settled: Promise<void>; settle(): void } {
  let settle = (): void => {}
  const settled = new Promise<void>((resolve) => {
    settle = resolve
  })
  return { settled, settle: () => settle() }
}

/** The room takes a moment to free the name of a replica that did not attach. */
async function nextTurnAfter(settled: Promise<void>): Promise<void> {
  await settled
  await new Promise<void>((resolve) => {
    setTimeout(resolve)
  })
}

/** A room detaches a released replica; a host that does not gets no longer than this. */
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
