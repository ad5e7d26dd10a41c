// Written for RxDB's plugin, with every type spelled out. `npm run check` compiles it against that plugin, and again with the
// plugin's name leading to this package: "change the import lines, and it compiles" is what this folder proves.
import * as polyfill from "node-datachannel/polyfill"
import {
  createRxDatabase,
  type RxCollection,
  type RxDatabase,
  type RxError,
  type RxJsonSchema,
  type RxTypeError,
  type WithDeleted,
} from "rxdb/plugins/core"
import {
  createSimplePeerWrtc,
  ensureProcessNextTickIsSet,
  getConnectionHandlerSimplePeer,
  replicateWebRTC,
  RxWebRTCReplicationPool,
  type RxWebRTCReplicationState,
  type SimplePeer,
  type SimplePeerConnectionHandlerOptions,
  type SyncOptionsWebRTC,
  type WebRTCConnectionHandlerCreator,
  type WebRTCPeerState,
  type WebRTCReplicationCheckpoint,
  type WebRTCSyncPullOptions,
  type WebRTCSyncPushOptions,
} from "rxdb/plugins/replication-webrtc"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import type { Observable, Subscription } from "rxjs"
import { WebSocket } from "ws"

interface Todo {
  id: string
  title: string
  done: boolean
  secret?: string
}
interface TodoMethods {
  toggle(): Promise<void>
}
type Todos = RxCollection<Todo, TodoMethods>
type Collections = { todos: Todos }
type Pool = RxWebRTCReplicationPool<Todo, SimplePeer>

const schema: RxJsonSchema<Todo> = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: {
    id: { type: "string", maxLength: 100 },
    title: { type: "string" },
    done: { type: "boolean" },
    secret: { type: "string" },
  },
  required: ["id", "title", "done"],
}

export async function openTodos(name: string): Promise<RxDatabase<Collections>> {
  const database = await createRxDatabase<Collections>({ name, storage: getRxStorageMemory() })
  await database.addCollections({ todos: { schema } })
  return database
}

const pull: WebRTCSyncPullOptions<Todo> = {
  batchSize: 60,
  modifier: (doc: WithDeleted<Todo>) => ({ ...doc, title: doc.title.trim() }),
}
const push: WebRTCSyncPushOptions<Todo> = {
  batchSize: 60,
  modifier: async (doc) => {
    const { secret: _secret, ...rest } = doc
    return rest.title.startsWith("draft") ? null : rest
  },
  waitBeforePersist: () => Promise.resolve(),
}

export async function shareTodos(
  database: RxDatabase<Collections>,
  url: string,
  topic: string,
): Promise<Pool> {
  ensureProcessNextTickIsSet()
  const connection: SimplePeerConnectionHandlerOptions = {
    signalingServerUrl: url,
    wrtc: createSimplePeerWrtc(polyfill),
    config: { iceServers: [{ urls: "stun:stun.example.org" }], iceTransportPolicy: "all" },
    webSocketConstructor: WebSocket as never,
  }
  const creator: WebRTCConnectionHandlerCreator<SimplePeer> = getConnectionHandlerSimplePeer(connection)
  const options: SyncOptionsWebRTC<Todo, SimplePeer> = {
    collection: database.todos,
    topic,
    connectionHandlerCreator: creator,
    isPeerValid: async (peer: SimplePeer): Promise<boolean> => allowed.has(peer.remotePeerId),
    requestTimeout: 5_000,
    retryTime: 1_000,
    autoStart: true,
    toggleOnDocumentVisible: false,
    pull,
    push,
  }
  const pool: Pool = await replicateWebRTC<Todo, SimplePeer>(options)
  follow(pool)
  return pool
}

const allowed = new Set<string>()
const lines: string[] = []

function follow(pool: Pool): void {
  const errors: Observable<RxError | RxTypeError> = pool.error$
  pool.subs.push(errors.subscribe(tell))
  pool.error$.subscribe((error: RxError | RxTypeError) => tell(error))
  pool.error$.subscribe((error) => {
    if (error.code === "RC_WEBRTC_PEER") lines.push(error.message, JSON.stringify(error.parameters))
  })
  const following: Subscription = pool.peerStates$.subscribe((states) => {
    for (const [peer, state] of states) greet(peer, state)
  })
  pool.subs.push(following)
}

function tell({ code, message, parameters, rxdb, url }: RxError | RxTypeError): void {
  lines.push(`${code} ${message} ${url}`, parameters.url ?? "", String(rxdb))
}

function greet(
  peer: SimplePeer,
  { peerToken, replicationState, subs }: WebRTCPeerState<Todo, SimplePeer>,
): void {
  lines.push(peer.id, peer.remotePeerId, peerToken, String(peer.connected))
  if (replicationState === undefined) return
  subs.push(replicationState.active$.subscribe((active: boolean) => lines.push(String(active))))
  replicationState.received$.subscribe((document) => lines.push(document.title, String(document._deleted)))
  replicationState.received$.subscribe((document: WithDeleted<Todo>) => lines.push(document.title))
  replicationState.sent$.subscribe((document: WithDeleted<Todo>) => lines.push(document.title))
  replicationState.error$.subscribe((error: RxError | RxTypeError) => tell(error))
  replicationState.canceled$.subscribe((canceled: boolean) => lines.push(String(canceled)))
}

export async function settle(state: RxWebRTCReplicationState<Todo>, todos: Todos): Promise<string[]> {
  await state.start()
  await state.startPromise
  await state.awaitInitialReplication()
  const done: true = await state.awaitInSync()
  state.reSync()
  const document = await todos.findOne("1").exec(true)
  await state.awaitDocumentPushed(document as never)
  const flags: boolean[] = [
    state.isPaused(),
    state.isStopped(),
    state.isStoppedOrPaused(),
    state.wasStarted,
    done,
  ]
  return [state.replicationIdentifier, state.collection.name, state.deletedField, flags.join()]
}

/** Members that are elsewhere in Dunlin compile, and say so when they are used. */
export async function elsewhere(pool: Pool, peer: SimplePeer): Promise<void> {
  const state = pool.peerStates$.getValue().get(peer)?.replicationState
  await state?.pause()
  await state?.cancel()
  await state?.remove()
  state?.conflict$.subscribe(({ output }) => lines.push(output.title))
  state?.subjects.error.subscribe((error) => tell(error))
  const checkpoint: WebRTCReplicationCheckpoint | undefined = undefined
  await pool.masterReplicationHandler.masterChangesSince(checkpoint, 10)
  pool.connectionHandler.disconnect$.subscribe((gone: SimplePeer) => lines.push(gone.id))
  pool.peerValidity.delete(peer)
  await pool.removePeer(peer)
  peer.on("close", () => lines.push("closed"))
  peer.once("data", (_chunk) => lines.push("data"))
  peer.send("hello")
  peer.destroy()
}

export async function ask(pool: Pool): Promise<boolean[]> {
  const states: Map<SimplePeer, WebRTCPeerState<Todo, SimplePeer>> = await pool.awaitFirstPeer()
  const [peer] = states.keys()
  if (peer === undefined) return [pool.canceled, pool instanceof RxWebRTCReplicationPool]
  const collection: RxCollection<Todo> = pool.collection
  lines.push(collection.name, pool.options.topic, String(pool.connectedPeers.size))
  return [await pool.isPeerValid(peer), pool.isPeerConnected(peer)]
}

export async function stop(database: RxDatabase<Collections>, pool: Pool): Promise<void> {
  await pool.cancel()
  await database.close()
}

/** As in the documentation: no type is spelled out. */
export async function inBrief(todos: Todos, signalingServerUrl: string): Promise<number> {
  const pool = await replicateWebRTC({
    collection: todos,
    topic: "my-users-pool",
    connectionHandlerCreator: getConnectionHandlerSimplePeer({ signalingServerUrl }),
    isPeerValid: (peer) => peer.id !== "bad",
    pull: {
      modifier: (doc) => {
        doc.title = doc.title.trim()
        return doc
      },
    },
    push: { modifier: (doc: Todo) => doc },
  })
  pool.error$.subscribe((error) => lines.push(error.message, error.code))
  for (const [peer, { replicationState }] of await pool.awaitFirstPeer()) {
    lines.push(peer.id)
    replicationState?.reSync()
    await replicationState?.awaitInSync()
  }
  return pool.peerStates$.getValue().size
}
