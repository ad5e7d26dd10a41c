import { memoryIdentity } from "@dunlin/core"
import { startSignalingServerSimplePeer } from "@dunlin/host"
import * as polyfill from "node-datachannel/polyfill"
import {
  createRxDatabase,
  type RxCollection,
  type RxConflictHandler,
  type RxDatabase,
} from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { firstValueFrom } from "rxjs"
import { afterEach, describe, expect, test } from "vitest"
import { WebSocket } from "ws"
import * as dunlin from "../src/index.ts"
import { settledAs, until } from "./room-flock.ts"

const { createSimplePeerWrtc, ensureProcessNextTickIsSet, getConnectionHandlerSimplePeer, replicateWebRTC } =
  dunlin

const schema = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: { id: { type: "string", maxLength: 100 }, text: { type: "string" } },
  required: ["id"],
} as const

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

let count = 0
async function device(
  creator: { readonly conflictHandler?: RxConflictHandler<unknown> } = {},
): Promise<{ database: RxDatabase; documents: RxCollection }> {
  const database = await createRxDatabase({
    name: `example-${count++}`,
    storage: getRxStorageMemory(),
    multiInstance: false,
  })
  closers.push(() => database.close())
  const { documents } = await database.addCollections({ documents: { schema, ...creator } })
  return { database, documents: documents as RxCollection }
}

async function ownServer(): Promise<string> {
  const server = await startSignalingServerSimplePeer({ port: 0 })
  closers.push(() => server.close())
  return server.localUrl
}

describe("programs after the examples of RxDB's WebRTC page", () => {
  test("a server of one's own, the Node polyfill, a pool with its errors and peers, and its end", async () => {
    ensureProcessNextTickIsSet()
    const signalingServerUrl = await ownServer()
    const wrtc = createSimplePeerWrtc(polyfill)
    const start = (collection: RxCollection) =>
      replicateWebRTC({
        collection,
        topic: "my-users-pool-of-this-test",
        connectionHandlerCreator: getConnectionHandlerSimplePeer({
          signalingServerUrl,
          wrtc,
          webSocketConstructor: WebSocket as never,
          config: { iceServers: [] },
        }),
        pull: { batchSize: 100 },
        push: { batchSize: 100 },
        live: true,
        retryTime: 5_000,
        autoStart: true,
        identity: memoryIdentity(),
      })
    const [a, b] = [await device(), await device()]
    const [mine, theirs] = [await start(a.documents), await start(b.documents)]
    const errors: unknown[] = []
    mine.error$.subscribe((error) => errors.push(error))
    await mine.awaitFirstPeer()
    const peers = [...mine.peerStates$.getValue().values()]
    expect(peers).toHaveLength(1)
    await a.documents.insert({ id: "1", text: "hello" })
    await until(async () => (await b.documents.findOne("1").exec()) !== null, "the document")
    await peers[0]?.replicationState.awaitInitialReplication()
    const active$ = peers[0]?.replicationState.active$
    if (active$ !== undefined) expect(await firstValueFrom(active$)).toBeTypeOf("boolean")
    expect(errors).toEqual([])
    await mine.cancel()
    await mine.cancel()
    await until(() => theirs.peerStates$.getValue().size === 0, "its end at the other side")
    await a.documents.insert({ id: "2", text: "on my own" })
    expect(await b.documents.findOne("2").exec()).toBeNull()
  })

  test("a pool that validates its peers", async () => {
    const signalingServerUrl = await ownServer()
    let introduce = (_devices: ReadonlySet<string>): void => {}
    const friends = new Promise<ReadonlySet<string>>((resolve) => {
      introduce = resolve
    })
    const start = async (collection: RxCollection) => {
      const identity = memoryIdentity()
      const pool = await replicateWebRTC({
        collection,
        topic: "a-topic-among-friends",
        connectionHandlerCreator: getConnectionHandlerSimplePeer(signalingServerUrl, polyfill),
        isPeerValid: async (peer) => (await friends).has(peer.device),
        pull: {},
        push: {},
        identity,
      })
      return { pool, device: pool.handle()?.device ?? "" }
    }
    const [a, b, c] = [await device(), await device(), await device()]
    const [ada, bob, cy] = [await start(a.documents), await start(b.documents), await start(c.documents)]
    introduce(new Set([ada.device, bob.device]))
    await a.documents.insert({ id: "1", text: "for friends" })
    await until(async () => (await b.documents.findOne("1").exec()) !== null, "the document")
    expect(await c.documents.findOne("1").exec()).toBeNull()
    expect(cy.pool.peerStates$.getValue().size).toBe(0)
  })

  test("a conflict handler of the application's own", async () => {
    const signalingServerUrl = await ownServer()
    const both: RxConflictHandler<unknown> = {
      isEqual: (a, b) => JSON.stringify(a) === JSON.stringify(b),
      resolve: ({ realMasterState, newDocumentState }) => {
        const texts = [realMasterState, newDocumentState].map((state) => (state as { text?: string }).text)
        return Promise.resolve({ ...realMasterState, text: texts.toSorted().join(" and ") })
      },
    }
    const conflictHandler = both
    const [a, b] = [await device({ conflictHandler }), await device({ conflictHandler })]
    await a.documents.insert({ id: "1", text: "one" })
    await b.documents.insert({ id: "1", text: "another" })
    for (const { documents } of [a, b])
      await replicateWebRTC({
        collection: documents,
        topic: "a-topic-with-a-handler",
        connectionHandlerCreator: getConnectionHandlerSimplePeer(signalingServerUrl, polyfill),
        pull: {},
        push: {},
        identity: memoryIdentity(),
      })
    await settledAs([a.documents, b.documents], { "1": { id: "1", text: "another and one" } })
  })

  test("what has no place here throws, and names what has", () => {
    const nothing = {} as never
    expect(() => new dunlin.RxWebRTCReplicationPool(nothing, nothing, nothing)).toThrow("replicateWebRTC()")
    expect(() => dunlin.isMasterInWebRTCReplication(nothing, "", "")).toThrow("no master")
    expect(() => dunlin.sendMessageAndAwaitAnswer(nothing, nothing, nothing)).toThrow("presence")
  })
})
