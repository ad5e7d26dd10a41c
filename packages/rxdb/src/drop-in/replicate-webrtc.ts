import {
  type AuthenticatedPeer,
  type Diagnostic,
  ReplicaError,
  type ReplicaReport,
  type Transport,
} from "@dunlin/core"
import { BehaviorSubject, filter, firstValueFrom, Subject, type Subscription, takeUntil } from "rxjs"
import { collectionLock } from "../collection-lock.ts"
import { lockedReplica, type RxdbHandle } from "../rxdb-replica.ts"
import { isClaimed } from "../stamper.ts"
import { unlessAborted } from "../unless-aborted.ts"
import { runOfApplication } from "./application-code.ts"
import { DropInError, PoolError } from "./drop-in-error.ts"
import type { WebRTCConnectionHandler } from "./connection-handler.ts"
import { handlerTransport } from "./handler-transport.ts"
import { followPeers, type PeerStates } from "./peer-states.ts"
import { createPeerVerdicts } from "./peer-verdicts.ts"
import { replicationPool, type RxWebRTCReplicationPool } from "./replication-pool.ts"
import { joinSharedRoom, type RoomShare } from "./shared-rooms.ts"
import { simplePeerTransport, webrtcOptionsOf } from "./simple-peer-handler.ts"
import { createPeerBook, type PeerBook, type SimplePeer } from "./simple-peer.ts"
import { assertSupported, replicaOptionsOf, type SyncOptionsWebRTC } from "./sync-options.ts"

const SHORT_TOPIC = 16

/**
 * Replicates a collection with everyone who has the topic, in the shape of RxDB's function of this name. Resolves when
 * this side is ready, connected or not. Pools of one database, topic and server share one connection per peer.
 */
export async function replicateWebRTC<RxDocType, PeerType>(
  options: SyncOptionsWebRTC<RxDocType, PeerType>,
): Promise<RxWebRTCReplicationPool<RxDocType, PeerType>> {
  assertSupported(options)
  const { collection } = options
  // Checked before the lock is requested: in a browser, another tab would seem to hold it.
  for (let former = endings.get(collection); former !== undefined; former = endings.get(collection)) {
    const ending = former()
    if (ending === null) throw alreadyReplicates(collection)
    await ending
  }
  if (isClaimed(collection)) throw alreadyReplicates(collection)
  const lock = collectionLock(collection)
  const replica = lockedReplica(collection, replicaOptionsOf(options), lock)
  endings.set(collection, () => canceled)
  const peerStates$ = new BehaviorSubject<PeerStates<RxDocType>>(new Map())
  const error$ = new Subject<PoolError>()
  const subs: Subscription[] = []
  const closing = new AbortController()
  const ended$ = new Subject<void>()
  let handle: RxdbHandle<RxDocType> | null = null
  let share: RoomShare | null = null
  let stopFollowing = (): void => {}
  let canceled: Promise<void> | null = null
  let starting: Promise<void> | null = null
  let standBy = (): void => {}
  const standsBy = new Promise<void>((resolve) => {
    standBy = resolve
  })

  const book = createPeerBook({
    path: (session) => share?.room.peers.get().find((peer) => peer.session === session)?.path ?? null,
    isConnected: (session) => [...peerStates$.getValue().keys()].some((peer) => peer.session === session),
  })

  const tell = (error: PoolError): void => {
    if (canceled === null) error$.next(error)
  }

  const diagnosed = (diagnostic: Diagnostic): void =>
    runOfApplication(() => options.onDiagnostic?.(diagnostic))

  const connections = connectionsOf(options, book, tell)

  const start = async (): Promise<void> => {
    // The hook stamps in every tab; connections are for the tab with the lock, which the replica then takes over.
    const unlock = await lock.acquire({ signal: closing.signal, waits: standBy })
    try {
      await open()
    } finally {
      await unlock()
    }
  }

  const open = async (): Promise<void> => {
    closing.signal.throwIfAborted()
    const joined = await join()
    share = joined
    try {
      await unlessAborted(connections.made(), closing.signal)
      handle = await joined.room.replicate(replica).catch((cause: unknown) => {
        throw isInUse(cause) ? alreadyReplicates(collection, cause) : cause
      })
    } catch (error) {
      // Nobody cancels a pool that stood by and could not take over: its room would go on without it.
      await joined.leave().catch((cause: unknown) => {
        // The caller has to get the reason why the replication did not start.
        const message = "The room of a replication that did not start cannot be closed."
        tell(new PoolError("transport", message, { cause }))
      })
      throw error
    }
    closing.signal.throwIfAborted()
    handle.error$.pipe(takeUntil(ended$)).subscribe((report) => tell(errorOfReport(report)))
    stopFollowing = followPeers({ handle, topic: options.topic, book, states$: peerStates$, error$ })
  }

  const join = (): Promise<RoomShare> =>
    joinSharedRoom(collection.database, {
      signal: closing.signal,
      topic: options.topic,
      ...(options.secret === undefined ? {} : { secret: options.secret }),
      ...(options.identity === undefined ? {} : { identity: options.identity }),
      ...connections,
      onDiagnostic: (diagnostic) => {
        diagnosed(diagnostic)
        const error = errorOfDiagnostic(diagnostic)
        if (error !== null) tell(error)
      },
    })

  const cancel = (): Promise<void> => {
    canceled ??= (async () => {
      closing.abort(new DropInError("canceled", "The replication was canceled."))
      // What is still being opened is closed like the rest.
      await starting?.catch(() => undefined)
      ended$.next()
      stopFollowing()
      for (const sub of subs) runOfApplication(() => sub.unsubscribe())
      // A handler of the application may fail to close.
      try {
        await handle?.close()
        await share?.leave()
      } finally {
        peerStates$.complete()
        error$.complete()
      }
    })().finally(() => {
      endings.delete(collection)
      // Not sooner: a collection that is closing iterates over this list.
      collection.onClose = collection.onClose.filter((one) => one !== cancel)
    })
    return canceled
  }
  collection.onClose.push(cancel)

  if (options.secret === undefined && options.topic.length < SHORT_TOPIC)
    diagnosed({
      at: Date.now(),
      type: "warning",
      code: "weak-topic",
      detail: `Everybody who guesses the topic "${options.topic}" is a member: pass a secret, or a long random topic.`,
    })
  starting = start()
  await Promise.race([starting, standsBy]).catch(async (error: unknown) => {
    // This rejects with what `open` has reported, or with another failure of the end: not with why it did not start.
    await cancel().catch(() => undefined)
    throw error
  })
  // It may still stand by; otherwise there is nothing to catch.
  starting.catch((cause: unknown) =>
    tell(new PoolError("transport", "The replication did not start.", { cause })),
  )

  return replicationPool<RxDocType, PeerType>({
    collection,
    options,
    peerStates$,
    error$: error$.asObservable(),
    subs,
    get canceled() {
      return canceled !== null
    },
    get connectedPeers() {
      return new Set(peerStates$.getValue().keys())
    },
    handle: () => handle,
    isPeerValid: (peer) => connections.ask(peer),
    isPeerConnected: (peer) => peerStates$.getValue().has(peer),
    awaitFirstPeer: ({ signal } = {}) => firstPeers(peerStates$, closing.signal, signal),
    cancel,
    [Symbol.asyncDispose]: cancel,
  })
}

/**
 * The end of a collection's pool, null while nobody has canceled it. A collection has one pool, since a row has one
 * stamp and belongs to one room. A new pool waits for one that is being canceled, because programs rarely do.
 */
const endings = new WeakMap<object, () => Promise<void> | null>()

function isInUse(error: unknown): boolean {
  return error instanceof ReplicaError && ["replica-in-use", "duplicate-name"].includes(error.code)
}

function alreadyReplicates({ name }: { readonly name: string }, cause?: unknown): DropInError {
  return new DropInError(
    "in-use",
    `The collection "${name}" replicates already. It has one pool or room at a time, with any number of peers: await cancel() of its pool, or close its room, first.`,
    { cause },
  )
}

interface Connections<PeerType> {
  readonly via: string | object
  readonly transport: () => Transport
  /** The check that the room makes, where it knows the peers. */
  readonly isPeerValid: ((peer: AuthenticatedPeer) => boolean | Promise<boolean>) | null
  readonly ask: (peer: PeerType) => Promise<boolean>
  /** Rejects when the application's handler for this pool could not be made: a room would go on without it. */
  readonly made: () => Promise<unknown>
}

function connectionsOf<RxDocType, PeerType>(
  options: SyncOptionsWebRTC<RxDocType, PeerType>,
  book: PeerBook,
  tell: (error: PoolError) => void,
): Connections<PeerType> {
  const { connectionHandlerCreator, isPeerValid } = options
  const own = webrtcOptionsOf(connectionHandlerCreator)
  const verdicts = createPeerVerdicts<PeerType>({
    check: isPeerValid ?? (() => true),
    subjectOf: (peer) => (own === null ? peer : (peer as SimplePeer).device),
    now: () => performance.now(),
  })
  const ask = (peer: PeerType): Promise<boolean> =>
    verdicts.of(peer).catch((cause: unknown) => {
      tell(new PoolError("peer", "isPeerValid failed for a peer, which is kept out.", { cause }))
      return false
    })
  if (own !== null)
    return {
      via: String(own.signaling),
      transport: () => simplePeerTransport(own),
      // The creator is this package's, and so PeerType is its SimplePeer.
      isPeerValid: isPeerValid === undefined ? null : (peer) => ask(book.peerOf(peer) as PeerType),
      ask,
      made: () => Promise.resolve(),
    }
  let made: Promise<WebRTCConnectionHandler<PeerType>> | null = null
  return {
    via: connectionHandlerCreator,
    transport: () =>
      handlerTransport<PeerType>({
        create() {
          // A creator takes the options of any collection, and may throw synchronously.
          const create = async (): Promise<WebRTCConnectionHandler<PeerType>> =>
            connectionHandlerCreator(options as SyncOptionsWebRTC<unknown, PeerType>)
          return (made = create())
        },
        isPeerValid: ask,
        failed: (cause) =>
          tell(new PoolError("transport", "The connection handler reported an error.", { cause })),
      }),
    isPeerValid: null,
    ask,
    made: () => made ?? Promise.resolve(),
  }
}

async function firstPeers<RxDocType>(
  states$: BehaviorSubject<PeerStates<RxDocType>>,
  closing: AbortSignal,
  given: AbortSignal | undefined,
): Promise<PeerStates<RxDocType>> {
  const signal = given === undefined ? closing : AbortSignal.any([closing, given])
  signal.throwIfAborted()
  const aborted$ = new Subject<void>()
  const abort = (): void => aborted$.next()
  signal.addEventListener("abort", abort, { once: true })
  try {
    return await firstValueFrom(
      states$.pipe(
        filter((states) => states.size > 0),
        takeUntil(aborted$),
      ),
    )
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener("abort", abort)
  }
}

function errorOfReport(report: ReplicaReport): PoolError {
  const { reason, cause } = report
  return new PoolError("peer", "key" in report ? `${report.key}: ${reason}` : reason, {
    cause,
    parameters: { ...report },
  })
}

function errorOfDiagnostic(diagnostic: Diagnostic): PoolError | null {
  if (diagnostic.type === "transport" && diagnostic.report.type === "signaling") {
    const { state, server, detail } = diagnostic.report
    if (state !== "unreachable" && state !== "refused") return null
    return new PoolError(
      "transport",
      `The signaling server ${server} is ${state}: ${detail ?? "no reason given"}.`,
      {
        parameters: { ...diagnostic.report },
      },
    )
  }
  if (diagnostic.type === "violation")
    return new PoolError("peer", `A peer broke the protocol: ${diagnostic.detail}`, {
      parameters: { ...diagnostic },
    })
  return null
}
