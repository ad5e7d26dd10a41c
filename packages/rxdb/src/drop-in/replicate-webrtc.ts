import type {
  AuthenticatedPeer,
  Diagnostic,
  Direction,
  Identity,
  ReplicaReport,
  Transport,
} from "@dunlin/core"
import { webrtc } from "@dunlin/core/webrtc"
import type { RxCollection } from "rxdb"
import { BehaviorSubject, filter, firstValueFrom, type Observable, Subject, takeUntil } from "rxjs"
import { collectionLock } from "../collection-lock.ts"
import type { Modifier } from "../modifiers.ts"
import { lockedReplica, type RxdbHandle, type RxdbReplicaOptions } from "../rxdb-replica.ts"
import type { WebRTCConnectionHandlerCreator } from "./connection-handler.ts"
import { DropInError } from "./drop-in-error.ts"
import { handlerTransport } from "./handler-transport.ts"
import { followPeers, type PeerStates } from "./peer-states.ts"
import { joinSharedRoom, type RoomShare } from "./shared-rooms.ts"
import { webrtcOptionsOf } from "./simple-peer-handler.ts"

/** RxDB's options, and a few more. */
export interface ReplicateWebRtcOptions<PeerType = never> {
  readonly collection: RxCollection
  /** Who has the topic (and the `secret`, if there is one) is a member. */
  readonly topic: string
  /** `getConnectionHandlerSimplePeer(…)` of this package, or any connection handler of RxDB's interface. */
  readonly connectionHandlerCreator: WebRTCConnectionHandlerCreator<PeerType>
  /** Without `pull` nothing is received; without `push` nothing is sent; the same on every side. */
  readonly pull?: { readonly modifier?: Modifier; readonly batchSize?: number }
  readonly push?: { readonly modifier?: Modifier; readonly batchSize?: number }
  /** With Dunlin's own connections `peer` is authenticated; with another handler it is that handler's peer. */
  readonly isPeerValid?: (peer: PeerType | AuthenticatedPeer) => boolean | Promise<boolean>
  /** Taken for compatibility: requests and retries follow Dunlin's own deadlines. */
  readonly requestTimeout?: number
  readonly retryTime?: number
  /** Always true. */
  readonly live?: boolean
  /** Taken for compatibility: replication begins with the call. */
  readonly autoStart?: boolean
  /** A secret of the room's own, instead of the topic. */
  readonly secret?: string
  /** Whose key this device proves; by default one that it keeps for itself. */
  readonly identity?: Identity
  /** What the room notices, for logs. */
  readonly onDiagnostic?: (diagnostic: Diagnostic) => void
}

/** RxDB's pool of peers for one collection. */
export interface WebRTCReplicationPool extends AsyncDisposable {
  readonly collection: RxCollection
  /** Who shares the collection now. */
  readonly peerStates$: BehaviorSubject<PeerStates>
  /** Troubles that ended nothing: a document that was refused, a server that cannot be reached. */
  readonly error$: Observable<DropInError>
  readonly canceled: boolean
  /** The collection in its room; null in a tab while another tab replicates. */
  handle(): RxdbHandle | null
  /** Resolves with the peers as soon as there is one; rejects when the pool is canceled, or with the signal's reason. */
  awaitFirstPeer(options?: { readonly signal?: AbortSignal }): Promise<PeerStates>
  /** Ends the replication, and the connections that no other pool uses. Also while it starts. Idempotent. */
  cancel(): Promise<void>
}

const SHORT_TOPIC = 16

/**
 * Replicates a collection with everyone who has the topic, in the shape of RxDB's function of this name. Resolves
 * when this side is ready, connected or not. Pools of one database, topic and server share one connection a peer.
 */
export async function replicateWebRTC<PeerType = never>(
  options: ReplicateWebRtcOptions<PeerType>,
): Promise<WebRTCReplicationPool> {
  assertSupported(options)
  const { collection } = options
  const lock = collectionLock(collection)
  const replicaOptions: RxdbReplicaOptions = {
    direction: directionOf(options),
    ...(options.push?.modifier === undefined ? {} : { push: { modifier: options.push.modifier } }),
    ...(options.pull?.modifier === undefined ? {} : { pull: { modifier: options.pull.modifier } }),
  }
  const replica = lockedReplica(collection, replicaOptions, lock)
  const peerStates$ = new BehaviorSubject<PeerStates>(new Map())
  const error$ = new Subject<DropInError>()
  const closing = new AbortController()
  const ended$ = new Subject<void>()
  let handle: RxdbHandle | null = null
  let share: RoomShare | null = null
  let stopFollowing = (): void => {}
  let canceled: Promise<void> | null = null
  let starting: Promise<void> | null = null
  let standBy = (): void => {}
  const standsBy = new Promise<void>((resolve) => {
    standBy = resolve
  })

  const tell = (error: DropInError): void => {
    if (canceled === null) error$.next(error)
  }

  const start = async (): Promise<void> => {
    // The hook stamps in every tab; connections are for the one that has the lock. The replica takes it over.
    const unlock = await lock.acquire({ signal: closing.signal, waits: standBy })
    try {
      await open()
    } finally {
      await unlock()
    }
  }

  const open = async (): Promise<void> => {
    closing.signal.throwIfAborted()
    share = await joinSharedRoom(collection.database, {
      signal: closing.signal,
      topic: options.topic,
      ...(options.secret === undefined ? {} : { secret: options.secret }),
      ...(options.identity === undefined ? {} : { identity: options.identity }),
      ...transportOf(options, tell),
      onDiagnostic: (diagnostic) => {
        options.onDiagnostic?.(diagnostic)
        const error = errorOfDiagnostic(diagnostic)
        if (error !== null) tell(error)
      },
    })
    closing.signal.throwIfAborted()
    handle = await share.room.replicate(replica)
    closing.signal.throwIfAborted()
    handle.error$.pipe(takeUntil(ended$)).subscribe((report) => tell(errorOfReport(report)))
    stopFollowing = followPeers(handle, peerStates$).stop
  }

  const cancel = (): Promise<void> => {
    canceled ??= (async () => {
      closing.abort(new DropInError("canceled", "The replication was canceled."))
      // What is being opened meanwhile is closed like the rest.
      await starting?.catch(() => undefined)
      ended$.next()
      stopFollowing()
      await handle?.close()
      await share?.leave()
      peerStates$.complete()
      error$.complete()
    })().finally(() => {
      // Not sooner: a collection that closes walks this list.
      collection.onClose = collection.onClose.filter((one) => one !== cancel)
    })
    return canceled
  }
  collection.onClose.push(cancel)

  if (options.secret === undefined && options.topic.length < SHORT_TOPIC)
    options.onDiagnostic?.({
      at: Date.now(),
      type: "warning",
      code: "weak-topic",
      detail: `Everybody who guesses the topic "${options.topic}" is a member: pass a secret, or a long random topic.`,
    })
  starting = start()
  await Promise.race([starting, standsBy]).catch(async (error: unknown) => {
    await cancel()
    throw error
  })
  // It may still stand by; otherwise there is nothing to catch.
  starting.catch((cause: unknown) =>
    tell(new DropInError("transport", "The replication did not start.", { cause })),
  )

  return {
    collection,
    peerStates$,
    error$: error$.asObservable(),
    get canceled() {
      return canceled !== null
    },
    handle: () => handle,
    awaitFirstPeer: ({ signal } = {}) => firstPeers(peerStates$, closing.signal, signal),
    cancel,
    [Symbol.asyncDispose]: cancel,
  }
}

function assertSupported<PeerType>({
  topic,
  connectionHandlerCreator,
  live,
  pull,
  push,
}: ReplicateWebRtcOptions<PeerType>): void {
  if (live === false)
    throw new DropInError(
      "invalid-option",
      "live: false is not possible among peers: there is no server to be done with. Use awaitInSync() and cancel().",
    )
  if (typeof topic !== "string" || topic === "")
    throw new DropInError("invalid-option", "A replication needs a topic.")
  if (typeof connectionHandlerCreator !== "function")
    throw new DropInError(
      "invalid-option",
      "connectionHandlerCreator is missing: pass getConnectionHandlerSimplePeer({ signalingServerUrl }).",
    )
  if (pull === undefined && push === undefined)
    throw new DropInError(
      "invalid-option",
      "Pass pull: {}, push: {} or both: nothing else would be replicated.",
    )
}

function directionOf({ pull, push }: Pick<ReplicateWebRtcOptions, "pull" | "push">): Direction {
  if (pull === undefined) return "send-only"
  return push === undefined ? "receive-only" : "both"
}

function transportOf<PeerType>(
  options: ReplicateWebRtcOptions<PeerType>,
  tell: (error: DropInError) => void,
): {
  readonly via: string | object
  readonly transport: () => Transport
  readonly isPeerValid: ((peer: AuthenticatedPeer) => boolean | Promise<boolean>) | null
} {
  const { connectionHandlerCreator, isPeerValid = null, topic, collection } = options
  const own = webrtcOptionsOf(connectionHandlerCreator as WebRTCConnectionHandlerCreator<never>)
  if (own !== null) return { via: String(own.signaling), transport: () => webrtc(own), isPeerValid }
  return {
    via: connectionHandlerCreator,
    transport: () =>
      handlerTransport<PeerType>({
        create: () => connectionHandlerCreator({ ...options, topic, collection } as never),
        isPeerValid: isPeerValid ?? (() => true),
        failed: (cause) =>
          tell(new DropInError("transport", "The connection handler reported an error.", { cause })),
      }),
    isPeerValid: null,
  }
}

async function firstPeers(
  states$: BehaviorSubject<PeerStates>,
  closing: AbortSignal,
  given: AbortSignal | undefined,
): Promise<PeerStates> {
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

function errorOfReport(report: ReplicaReport): DropInError {
  const { reason, cause } = report
  return new DropInError("peer", "key" in report ? `${report.key}: ${reason}` : reason, {
    cause,
    parameters: { ...report },
  })
}

function errorOfDiagnostic(diagnostic: Diagnostic): DropInError | null {
  if (diagnostic.type === "transport" && diagnostic.report.type === "signaling") {
    const { state, server, detail } = diagnostic.report
    if (state !== "unreachable" && state !== "refused") return null
    return new DropInError(
      "transport",
      `The signaling server ${server} is ${state}: ${detail ?? "no reason given"}.`,
      {
        parameters: { ...diagnostic.report },
      },
    )
  }
  if (diagnostic.type === "violation")
    return new DropInError("peer", `A peer broke the protocol: ${diagnostic.detail}`, {
      parameters: { ...diagnostic },
    })
  return null
}
