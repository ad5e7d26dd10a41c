import { createInvite, memoryIdentity, openRoom } from "@dunlin/core"
import { startSignalingServerSimplePeer, type SimplePeerSignalingServer } from "@dunlin/host"
import * as wrtc from "node-datachannel/polyfill"
import { addRxPlugin, createRxDatabase, type RxCollection, type RxDatabase } from "rxdb/plugins/core"
import {
  createSimplePeerWrtc,
  getConnectionHandlerSimplePeer as theirHandler,
  startSignalingServerSimplePeer as theirServer,
} from "rxdb/plugins/replication-webrtc"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { Subject, Subscription } from "rxjs"
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest"
import { WebSocket } from "ws"
import {
  DunlinWebRTCPlugin,
  getConnectionHandlerNostr,
  getConnectionHandlerSimplePeer,
  PoolError,
  replicateWebRTC,
  rxdbReplica,
  RxWebRTCReplicationPool,
  type SimplePeer,
  startSignalingServerSimplePeer as notHere,
  type WebRTCConnectionHandler,
  type WithSyncWebRTC,
} from "../src/index.ts"

const schema = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: { id: { type: "string", maxLength: 40 }, text: { type: "string" } },
  required: ["id"],
} as const

interface Row {
  readonly id: string
  readonly text?: string
}

let server: SimplePeerSignalingServer
beforeAll(async () => {
  server = await startSignalingServerSimplePeer({ port: 0 })
})
afterAll(() => server.close())

const databases: RxDatabase[] = []
afterEach(async () => {
  await Promise.all(databases.splice(0).map((database) => database.close()))
})

let counter = 0
async function peer(...names: string[]): Promise<Record<string, RxCollection>> {
  const database = await createRxDatabase({
    name: `drop-in-${counter++}`,
    storage: getRxStorageMemory(),
    multiInstance: false,
  })
  databases.push(database)
  return database.addCollections(Object.fromEntries(names.map((name) => [name, { schema }])))
}

const handler = () =>
  getConnectionHandlerSimplePeer({
    signalingServerUrl: server.localUrl,
    wrtc,
    webSocketConstructor: WebSocket as never,
    config: { iceServers: [] },
  })

/** Errors that would have surfaced as uncaught. */
async function uncaughtDuring(work: () => Promise<unknown>): Promise<readonly string[]> {
  const uncaught: string[] = []
  const { queueMicrotask: queue } = globalThis
  vi.stubGlobal("queueMicrotask", (own: () => void) =>
    queue(() => {
      try {
        own()
      } catch (error) {
        uncaught.push(String(error))
      }
    }),
  )
  try {
    await work()
  } finally {
    vi.unstubAllGlobals()
  }
  return uncaught
}

const until = async (condition: () => boolean | Promise<boolean>, what: string): Promise<void> => {
  const end = Date.now() + 30_000
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited 30 s for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function start(collection: RxCollection, topic: string): Promise<RxWebRTCReplicationPool<Row, SimplePeer>> {
  return replicateWebRTC({
    collection,
    topic,
    connectionHandlerCreator: handler(),
    pull: {},
    push: {},
    identity: memoryIdentity(),
  })
}

describe("replicateWebRTC", () => {
  test("replicates both ways, tells peers and their states, and ends with cancel", async () => {
    const [a, b] = [await peer("todos"), await peer("todos")]
    const todos = a["todos"] as RxCollection
    const theirs = b["todos"] as RxCollection
    await todos.bulkInsert(Array.from({ length: 100 }, (_, n) => ({ id: `a${n}`, text: "a" })))
    await theirs.insert({ id: "b", text: "b" })
    const pool = await start(todos, "a-topic-of-two-peers")
    const other = await start(theirs, "a-topic-of-two-peers")
    const states = await pool.awaitFirstPeer()
    const [state] = [...states.values()]
    expect(state?.peerToken).toMatch(/^[0-9a-f]{32}$/)
    await state?.replicationState.awaitInSync()
    await until(async () => (await theirs.count().exec()) === 101, "all documents at the other side")
    expect((await todos.findOne("b").exec(true)).text).toBe("b")

    const received: unknown[] = []
    const [back] = [...(await other.awaitFirstPeer()).values()]
    back?.replicationState.received$.subscribe((document) => received.push(document))
    await todos.upsert({ id: "a1", text: "edited" })
    await until(() => received.length > 0, "the edit on received$")
    expect(received).toEqual([{ id: "a1", text: "edited", _deleted: false }])

    await pool.cancel()
    expect(pool.canceled).toBe(true)
    await until(() => other.peerStates$.getValue().size === 0, "the peer to be gone")
    await expect(pool.awaitFirstPeer()).rejects.toThrow("canceled")
  })

  test("awaitInSync covers every write that was complete before it", async () => {
    const [a, b] = [await peer("todos"), await peer("todos")]
    const [todos, theirs] = [a["todos"] as RxCollection, b["todos"] as RxCollection]
    const pool = await start(todos, "a-topic-to-be-in-sync")
    await start(theirs, "a-topic-to-be-in-sync")
    const [state] = [...(await pool.awaitFirstPeer()).values()]
    const ids = Array.from({ length: 200 }, (_, n) => `n${n}`)
    await todos.bulkInsert(ids.map((id) => ({ id, text: "start" })))
    await expect(state?.replicationState.awaitInSync()).resolves.toBe(true)
    expect(await theirs.count().exec()).toBe(200)
    await todos.bulkRemove(ids.slice(0, 100))
    await todos.bulkUpsert(ids.slice(100).map((id) => ({ id, text: "edited" })))
    await state?.replicationState.awaitInSync()
    expect(await theirs.count().exec()).toBe(100)
    expect(await theirs.count({ selector: { text: "edited" } }).exec()).toBe(100)
    await pool.cancel()
    await expect(state?.replicationState.awaitInSync()).rejects.toMatchObject({ code: "peer" })
  })

  test("five collections share one socket and one connection", async () => {
    const names = ["one", "two", "three", "four", "five"]
    const sides = [await peer(...names), await peer(...names)]
    const before = sockets
    for (const side of sides)
      await Promise.all(
        names.map((name) =>
          replicateWebRTC({
            collection: side[name] as RxCollection,
            topic: "a-topic-of-five-collections",
            connectionHandlerCreator: getConnectionHandlerSimplePeer({
              signalingServerUrl: server.localUrl,
              wrtc: { RTCPeerConnection: CountedConnection },
              webSocketConstructor: CountedSocket as never,
            }),
            pull: {},
            push: {},
            identity: memoryIdentity(),
          }),
        ),
      )
    for (const name of names) await sides[0]?.[name]?.insert({ id: "x", text: name })
    for (const name of names)
      await until(
        async () => (await sides[1]?.[name]?.findOne("x").exec()) !== null,
        `the document of ${name}`,
      )
    expect(sockets - before).toBe(2)
    // A failed attempt is no connection.
    expect(connections.filter(({ connectionState }) => connectionState === "connected")).toHaveLength(2)
  })

  test("is a method of collections with the plugin, and takes the short form of the handler", async () => {
    addRxPlugin(DunlinWebRTCPlugin)
    const [a, b] = [await peer("todos"), await peer("todos")]
    for (const side of [a, b])
      await (side["todos"] as WithSyncWebRTC<RxCollection>).syncWebRTC({
        topic: "a-topic-for-the-plugin",
        connectionHandlerCreator: getConnectionHandlerSimplePeer(server.localUrl, wrtc),
        pull: {},
        push: {},
        identity: memoryIdentity(),
      })
    await a["todos"]?.insert({ id: "x", text: "by method" })
    await until(async () => (await b["todos"]?.findOne("x").exec()) !== null, "the document")
  })

  test("leaves nothing behind when the database closes while it starts, at whatever moment", async () => {
    const host = await peer("todos")
    await start(host["todos"] as RxCollection, "a-topic-left-early")
    const before = { sockets: openSockets.size, connections: liveConnections() }
    const moments = ["at once", "identity", 0, 2, 5, 10, 20, 40, 80, 160] as const
    for (const moment of moments) {
      const { todos } = await peer("todos")
      if (todos === undefined) throw new Error("no collection")
      await todos.insert({ id: String(moment), text: "never mind" })
      let reached = (): void => {}
      const loading = new Promise<void>((resolve) => {
        reached = resolve
      })
      const identity = memoryIdentity()
      const starting = replicateWebRTC({
        collection: todos,
        topic: "a-topic-left-early",
        connectionHandlerCreator: getConnectionHandlerSimplePeer({
          signalingServerUrl: server.localUrl,
          wrtc: { RTCPeerConnection: CountedConnection },
          webSocketConstructor: CountedSocket as never,
        }),
        pull: {},
        push: {},
        identity: {
          ...identity,
          async load() {
            reached()
            await new Promise((resolve) => setTimeout(resolve, 20))
            return identity.load()
          },
        },
      }).then(
        (pool) => pool,
        (error: unknown) => error,
      )
      if (moment === "identity") await loading
      else if (moment !== "at once") await new Promise((resolve) => setTimeout(resolve, moment))
      await todos.database.close()
      const pool = await starting
      if (pool instanceof Error) expect(pool).toMatchObject({ code: "canceled" })
      else expect((pool as RxWebRTCReplicationPool<Row, SimplePeer>).canceled).toBe(true)
    }
    await until(() => openSockets.size === before.sockets, "the end of all sockets")
    await until(() => liveConnections() === before.connections, "the end of all connections")
    await host["todos"]?.database.close()
    await until(
      () => process.getActiveResourcesInfo().filter((one) => one === "Timeout").length <= 2,
      "timers",
    )
  })

  test("leaves nothing in the collection, however often it is started and canceled", async () => {
    const { todos } = await peer("todos")
    if (todos === undefined) throw new Error("no collection")
    const before = todos.onClose.length
    for (let n = 0; n < 3; n++) await (await start(todos, "a-topic-again-and-again")).cancel()
    expect(todos.onClose).toHaveLength(before)
  })

  test("is canceled while an identity never answers, and another pool that waits goes on", async () => {
    const { one, two } = await peer("one", "two")
    if (one === undefined || two === undefined) throw new Error("no collection")
    const identity = memoryIdentity()
    let answer = (): void => {}
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    const connectionHandlerCreator = handler()
    const starting = [one, two].map((collection) =>
      replicateWebRTC({
        collection,
        topic: "a-topic-without-an-answer",
        connectionHandlerCreator,
        pull: {},
        push: {},
        identity: { ...identity, load: () => answered.then(() => identity.load()) },
      }),
    )
    const failed = starting[0]?.catch((error: unknown) => error)
    await new Promise((resolve) => setTimeout(resolve, 50))
    await one.close()
    expect(await failed).toMatchObject({ code: "canceled" })
    answer()
    const pool = await starting[1]
    expect(pool?.handle()?.collection).toBe(two)
  })

  test("lets a database close while an identity never answers", async () => {
    const { todos } = await peer("todos")
    if (todos === undefined) throw new Error("no collection")
    const failed = replicateWebRTC({
      collection: todos,
      topic: "a-topic-without-an-answer",
      connectionHandlerCreator: handler(),
      pull: {},
      push: {},
      identity: { ...memoryIdentity(), load: () => new Promise(() => {}) },
    }).catch((error: unknown) => error)
    await new Promise((resolve) => setTimeout(resolve, 50))
    await todos.database.close()
    expect(await failed).toMatchObject({ code: "canceled" })
  })

  test("keeps out whom isPeerValid refuses, and does not ask at each attempt", async () => {
    const [a, b] = [await peer("todos"), await peer("todos")]
    const asked: SimplePeer[] = []
    let refusals = 0
    const pool = await replicateWebRTC({
      collection: a["todos"] as RxCollection,
      topic: "a-topic-with-a-door",
      onDiagnostic: (one) => {
        if (one.type === "warning" && one.code === "refused-by-isPeerValid") refusals++
      },
      connectionHandlerCreator: handler(),
      pull: {},
      push: {},
      identity: memoryIdentity(),
      isPeerValid: (candidate) => {
        asked.push(candidate)
        return false
      },
    })
    await start(b["todos"] as RxCollection, "a-topic-with-a-door")
    await until(() => refusals >= 3, "three attempts")
    expect(asked).toHaveLength(1)
    const [stranger] = asked
    if (stranger === undefined) throw new Error("nobody was asked about")
    expect(stranger.device).toMatch(/^[0-9a-f]{64}$/)
    expect(stranger).toMatchObject({ id: stranger.session, remotePeerId: stranger.session, connected: false })
    expect(await pool.isPeerValid(stranger)).toBe(false)
    expect(asked).toHaveLength(1)
    expect(pool.peerStates$.getValue().size).toBe(0)
  })

  test("keeps out whom isPeerValid fails for, and says why", async () => {
    const [a, b] = [await peer("todos"), await peer("todos")]
    const pool = await replicateWebRTC({
      collection: a["todos"] as RxCollection,
      topic: "a-topic-with-a-broken-door",
      connectionHandlerCreator: handler(),
      pull: {},
      push: {},
      identity: memoryIdentity(),
      isPeerValid: () => {
        throw new Error("the list of members is gone")
      },
    })
    const told: PoolError[] = []
    pool.error$.subscribe((error) => told.push(error as PoolError))
    await start(b["todos"] as RxCollection, "a-topic-with-a-broken-door")
    await until(() => told.length > 0, "the error")
    expect(told[0]).toBeInstanceOf(PoolError)
    expect(told[0]).toMatchObject({ reason: "peer", cause: { message: "the list of members is gone" } })
    expect(pool.peerStates$.getValue().size).toBe(0)
  })

  test("has the members of RxDB's pool and states, and says of what it lacks what there is instead", async () => {
    const [a, b] = [await peer("todos"), await peer("todos")]
    const [todos, theirs] = [a["todos"] as RxCollection, b["todos"] as RxCollection]
    const asked: SimplePeer[] = []
    const pool = await replicateWebRTC({
      collection: todos,
      topic: "a-topic-of-members",
      connectionHandlerCreator: handler(),
      isPeerValid: (candidate) => asked.push(candidate) > 0,
      pull: {},
      push: {},
      identity: memoryIdentity(),
    })
    const other = await start(theirs, "a-topic-of-members")
    const [[key, state] = []] = [...(await pool.awaitFirstPeer())]
    if (key === undefined || state === undefined) throw new Error("no peer")
    expect(pool).toBeInstanceOf(RxWebRTCReplicationPool)
    expect(pool.options.topic).toBe("a-topic-of-members")
    expect(pool.isPeerConnected(key)).toBe(true)
    expect([...pool.connectedPeers]).toEqual([key])
    // The same object from first to last, so that programs can use it as a key in their own maps.
    expect(asked).toEqual([key])
    expect(asked[0]).toBe(key)
    expect(key).toMatchObject({ connected: true, path: "direct" })

    const { replicationState } = state
    expect(replicationState).toMatchObject({ collection: todos, deletedField: "_deleted", wasStarted: true })
    expect([replicationState.isPaused(), replicationState.isStopped()]).toEqual([false, false])
    replicationState.reSync()
    const document = await todos.insert({ id: "x", text: "pushed" })
    await replicationState.awaitDocumentPushed(document)
    expect((await theirs.findOne("x").exec(true)).text).toBe("pushed")
    for (const refused of [
      () => replicationState.pause,
      () => replicationState.conflict$,
      () => pool.connectionHandler,
      () => pool.removePeer,
      () => key.on,
    ])
      expect(refused).toThrow(expect.objectContaining({ name: "DropInError", code: "unsupported" }) as Error)
    expect(() => replicationState.conflict$).toThrow("conflicts$")

    const ends: string[] = []
    pool.subs.push(new Subscription(() => ends.push("pool")))
    state.subs.push(new Subscription(() => ends.push("peer")))
    replicationState.onCancel.push(() => ends.push("canceled"))
    replicationState.canceled$.subscribe((canceled) => ends.push(String(canceled)))
    await pool.cancel()
    expect(ends.toSorted()).toEqual(["canceled", "false", "peer", "pool", "true"])
    expect([replicationState.isStopped(), pool.isPeerConnected(key), key.connected]).toEqual([
      true,
      false,
      false,
    ])
    await other.cancel()
  })

  test("a pool ends whatever the application throws at its end, which surfaces as uncaught", async () => {
    const [a, b] = [await peer("todos"), await peer("todos")]
    const todos = a["todos"] as RxCollection
    const theirs = b["todos"] as RxCollection
    const pool = await start(todos, "a-topic-of-a-pool-that-ends")
    const other = await start(theirs, "a-topic-of-a-pool-that-ends")
    const [state] = [...(await pool.awaitFirstPeer()).values()]
    const fail = (of: string) => () => {
      throw new Error(of)
    }
    pool.subs.push(new Subscription(fail("a sub of the pool")))
    state?.subs.push(new Subscription(fail("a sub of the peer")))
    state?.replicationState.onCancel.push(fail("onCancel"))
    let completed = 0
    pool.peerStates$.subscribe({ complete: () => completed++ })
    pool.error$.subscribe({ complete: () => completed++ })

    const uncaught = await uncaughtDuring(() => pool.cancel())
    expect(uncaught).toHaveLength(3)
    expect(completed).toBe(2)
    await (await start(todos, "a-topic-of-another-pool-then")).cancel()
    await other.cancel()
  })

  test("a pool starts whatever onDiagnostic throws, which surfaces as uncaught", async () => {
    const { todos } = await peer("todos")
    const uncaught = await uncaughtDuring(async () => {
      const pool = await replicateWebRTC({
        collection: todos as RxCollection,
        topic: "short",
        connectionHandlerCreator: handler(),
        pull: {},
        push: {},
        onDiagnostic(diagnostic) {
          throw new Error(diagnostic.type)
        },
      })
      await pool.cancel()
    })
    expect(uncaught).toContain("Error: warning")
    await (await start(todos as RxCollection, "a-topic-of-another-pool-then")).cancel()
  })

  test("one pool a collection: a second says what to do, whatever its topic", async () => {
    const { one, two } = await peer("one", "two")
    if (one === undefined || two === undefined) throw new Error("no collection")
    const pool = await start(one, "a-topic-of-one-pool")
    for (const topic of ["a-topic-of-one-pool", "a-topic-of-another-pool"])
      await expect(start(one, topic)).rejects.toMatchObject({
        name: "DropInError",
        code: "in-use",
        message: expect.stringContaining('The collection "one" replicates already') as string,
      })
    void pool.cancel()
    await (await start(one, "a-topic-of-one-pool")).cancel()

    const room = await openRoom({ invite: createInvite(), transports: [], identity: memoryIdentity() })
    await room.replicate(rxdbReplica(two, { name: "second" }))
    await expect(start(two, "a-topic-of-one-pool")).rejects.toMatchObject({ code: "in-use" })
    await expect(room.replicate(rxdbReplica(two, { name: "third" }))).rejects.toThrow(
      'The collection "two" is already in a room, as the replica "second"',
    )
    await room.close()
    await (await start(two, "a-topic-of-one-pool")).cancel()
  })

  test("names its own options where a runtime has no WebRTC, and the page where a worker has none", async () => {
    const { todos } = await peer("todos")
    if (todos === undefined) throw new Error("no collection")
    const without = () =>
      replicateWebRTC({
        collection: todos,
        topic: "a-topic-without-webrtc",
        connectionHandlerCreator: getConnectionHandlerSimplePeer({ signalingServerUrl: server.localUrl }),
        pull: {},
        identity: memoryIdentity(),
      })
    await expect(without()).rejects.toMatchObject({
      code: "no-webrtc",
      message: expect.stringContaining(
        "getConnectionHandlerSimplePeer({ signalingServerUrl, wrtc })",
      ) as string,
    })
    vi.stubGlobal("WorkerGlobalScope", Object)
    try {
      await expect(without()).rejects.toMatchObject({
        code: "no-webrtc",
        message: expect.stringContaining("Browsers have no WebRTC in workers") as string,
      })
    } finally {
      vi.unstubAllGlobals()
    }
  })

  test("runs over RxDB's own simple-peer handler and its own signaling server", async () => {
    const port = 30_000 + Math.floor(Math.random() * 20_000)
    const theirs = await theirServer({ port, host: "127.0.0.1" })
    try {
      const [a, b] = [await peer("todos"), await peer("todos")]
      const asked: unknown[] = []
      for (const side of [a, b])
        await replicateWebRTC({
          collection: side["todos"] as RxCollection,
          topic: "a-topic-over-their-handler",
          connectionHandlerCreator: theirHandler({
            signalingServerUrl: theirs.localUrl,
            wrtc: createSimplePeerWrtc(wrtc) as never,
            webSocketConstructor: WebSocket as never,
          }),
          isPeerValid: (candidate) => {
            asked.push(candidate)
            return true
          },
          pull: {},
          push: {},
          identity: memoryIdentity(),
        })
      await a["todos"]?.bulkInsert(
        Array.from({ length: 300 }, (_, n) => ({ id: `n${n}`, text: "x".repeat(500) })),
      )
      await until(async () => (await b["todos"]?.count().exec()) === 300, "all documents")
      await b["todos"]?.upsert({ id: "n1", text: "back" })
      await until(async () => (await a["todos"]?.findOne("n1").exec())?.get("text") === "back", "the edit")
      expect(asked).toHaveLength(2)
      expect(asked[0]).toHaveProperty("remotePeerId")
    } finally {
      await Promise.all(databases.splice(0).map((database) => database.close()))
      for (const client of theirs.server.clients) client.terminate()
      theirs.server.close()
    }
  })

  test("takes any connection handler as a transport, and finds together again after a break", async () => {
    const bus = createBus()
    const [a, b] = [await peer("todos"), await peer("todos")]
    for (const side of [a, b])
      await replicateWebRTC({
        collection: side["todos"] as RxCollection,
        topic: "a-topic-over-a-bus",
        connectionHandlerCreator: () => Promise.resolve(bus.handler()),
        pull: {},
        push: {},
        identity: memoryIdentity(),
      })
    await a["todos"]?.insert({ id: "x", text: "over the bus" })
    await until(async () => (await b["todos"]?.findOne("x").exec()) !== null, "the document")
    bus.breakAndReconnect()
    await b["todos"]?.insert({ id: "y", text: "after the break" })
    await until(async () => (await a["todos"]?.findOne("y").exec()) !== null, "the document after the break")
  })

  const overHandler = (
    collection: RxCollection | undefined,
    connectionHandlerCreator: () => Promise<WebRTCConnectionHandler<string>>,
  ) =>
    replicateWebRTC({
      collection: collection as RxCollection,
      topic: "a-topic-over-no-bus",
      connectionHandlerCreator,
      pull: {},
      identity: memoryIdentity(),
    })

  test("ends though its connection handler does not come or close, and the next pool is not held up", async () => {
    const { todos } = await peer("todos")
    const endless = new Promise<never>(() => {})
    const pool = await overHandler(todos, async () => ({ ...createBus().handler(), close: () => endless }))
    void pool.cancel()
    await (await overHandler(todos, async () => createBus().handler())).cancel()
    const starting = expect(overHandler(todos, () => endless)).rejects.toMatchObject({ code: "canceled" })
    await todos?.database.close()
    await starting
  })

  test("takes from a connection handler what a stranger made of a message, and drops it", async () => {
    const { todos } = await peer("todos")
    const message$ = new Subject<{ peer: string; message: never }>()
    const connect$ = new Subject<string>()
    const pool = await overHandler(todos, async () => ({ ...createBus().handler(), connect$, message$ }))
    connect$.next("stranger")
    await new Promise((resolve) => setTimeout(resolve, 50))
    const method = "masterWrite"
    const nonsense = [
      { id: "1", method },
      { id: "1", method, params: null },
      { id: "1", method, params: { 0: "a" } },
      { id: "1", method, params: [] },
      { id: "1", method, params: ["from", "control", "%%%"] },
      { id: "1", method, params: ["from", "control", { length: 4 }] },
      { id: "1", method, params: ["from", "neither", "AAAA"] },
      { id: "1", method: "token", params: [] },
      {},
    ]
    for (const message of nonsense) message$.next({ peer: "stranger", message: message as never })
    // A subscriber's error surfaces one turn later.
    await new Promise((resolve) => setTimeout(resolve, 50))
    await pool.cancel()
  })

  test("ends though its connection handler lacks a stream, or does not close", async () => {
    const { todos } = await peer("todos")
    const partial = { ...createBus().handler(), message$: undefined } as never
    await (await overHandler(todos, async () => partial)).cancel()
    const close = (): Promise<void> => Promise.reject(new Error("it does not close"))
    await (await overHandler(todos, async () => ({ ...createBus().handler(), close }))).cancel()
    await (await overHandler(todos, async () => createBus().handler())).cancel()
  })

  test.each([
    ["rejects", () => Promise.reject(new Error("no relay answers"))],
    [
      "throws",
      () => {
        throw new Error("no relay answers")
      },
    ],
  ])("rejects with what a creator of connection handlers %s, and can be called again", async (_, create) => {
    const { todos } = await peer("todos")
    await expect(overHandler(todos, create)).rejects.toThrow("no relay answers")
    await (await overHandler(todos, async () => createBus().handler())).cancel()
  })

  test("says why it did not start also where its connection handler does not close either", async () => {
    const { todos } = await peer("todos")
    const room = await openRoom({ invite: createInvite(), transports: [], identity: memoryIdentity() })
    const starting = overHandler(todos, async () => {
      await room.replicate(rxdbReplica(todos as RxCollection, { name: "meanwhile" }))
      return { ...createBus().handler(), close: () => Promise.reject(new Error("stuck")) }
    })
    await expect(starting).rejects.toMatchObject({ name: "DropInError", code: "in-use" })
    await room.close()
    await (await overHandler(todos, async () => createBus().handler())).cancel()
  })

  test("refuses what cannot work, and names the way that does", async () => {
    const { todos } = await peer("todos")
    const options = {
      collection: todos as RxCollection,
      topic: "some-topic",
      connectionHandlerCreator: handler(),
    }
    await expect(replicateWebRTC({ ...options, pull: {}, live: false })).rejects.toThrow("live: false")
    await expect(replicateWebRTC(options)).rejects.toThrow("pull: {}")
    await expect(replicateWebRTC({ ...options, pull: { initialCheckpoint: {} } })).rejects.toThrow(
      "pull.initialCheckpoint",
    )
    expect(() => getConnectionHandlerSimplePeer({} as never)).toThrow("@dunlin/host")
    expect(() => notHere()).toThrow("@dunlin/host")
    expect(() => getConnectionHandlerNostr({ relays: [] })).toThrow("connectionHandlerCreator")
  })
})

/** Two handlers with RxDB's interface, connected in memory. */
function createBus() {
  interface End extends WebRTCConnectionHandler<string> {
    readonly connect$: Subject<string>
    readonly disconnect$: Subject<string>
    readonly message$: Subject<{ peer: string; message: never }>
  }
  const ends: End[] = []
  const connect = (): void => {
    for (const [at, end] of ends.entries()) end.connect$.next(`peer-${1 - at}`)
  }
  return {
    handler(): WebRTCConnectionHandler<string> {
      const at = ends.length
      const end: End = {
        connect$: new Subject(),
        disconnect$: new Subject(),
        message$: new Subject(),
        response$: new Subject<never>(),
        error$: new Subject<never>(),
        send: async (_peer, message) => {
          await Promise.resolve()
          // On a real connection, it would be text.
          const copy = JSON.parse(JSON.stringify(message)) as never
          ends[1 - at]?.message$.next({ peer: `peer-${at}`, message: copy })
        },
        close: () => Promise.resolve(),
      }
      ends.push(end)
      if (ends.length === 2) setTimeout(connect, 20)
      return end
    },
    breakAndReconnect() {
      for (const [at, end] of ends.entries()) end.disconnect$.next(`peer-${1 - at}`)
      setTimeout(connect, 50)
    },
  }
}

let sockets = 0
const openSockets = new Set<WebSocket>()
class CountedSocket extends WebSocket {
  constructor(...given: ConstructorParameters<typeof WebSocket>) {
    super(...given)
    sockets++
    openSockets.add(this)
    this.on("close", () => openSockets.delete(this))
  }
}
const connections: CountedConnection[] = []
const liveConnections = (): number =>
  connections.filter(({ connectionState }) => connectionState !== "closed").length
class CountedConnection extends wrtc.RTCPeerConnection {
  constructor(configuration?: RTCConfiguration) {
    super(configuration as never)
    connections.push(this)
  }
}
