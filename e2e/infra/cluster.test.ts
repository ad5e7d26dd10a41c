import { connect, createServer } from "node:net"
import { setTimeout as pause } from "node:timers/promises"
import { systemClock, systemRandom } from "@dunlin/core"
import { type DescriptionType, PeerConnection } from "node-datachannel"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { WebSocket } from "ws"
import {
  createSignalingClient,
  type SignalingClient as RealClient,
} from "../../packages/core/src/webrtc/signaling-client.ts"
import { connectClient, type SignalingClient, someTopic } from "../../packages/host/test/signaling-client.ts"
import { type HostProcess, startHostProcess } from "../browser/harness/host-process.ts"
import {
  type CuttableWay,
  freeTcpPort,
  type NatsServer,
  natsServerProblem,
  openCuttableWay,
  startNatsServer,
} from "./nats-server.ts"

const problem = natsServerProblem()
if (problem !== null) console.log(`skipped: ${problem}`)

/** All clients of a test share one address, and its machine may be busy with other things. */
const roomy = [
  ["--address-connection-burst", "10000"],
  ["--address-max-connections", "10000"],
  ["--max-loop-lag-ms", "60000"],
].flat()

describe.skipIf(problem !== null)("three hosts and a real NATS server", () => {
  let natsPort = 0
  let nats: NatsServer
  const ways: CuttableWay[] = []
  const hosts: HostProcess[] = []
  const members: Roommate[] = []

  beforeEach(async () => {
    natsPort = await freeTcpPort()
    nats = await startNatsServer(natsPort)
    for (let index = 0; index < 3; index++) ways.push(await openCuttableWay(natsPort))
    hosts.push(...(await Promise.all(ways.map(({ port }) => startClusterHost(port)))))
    await Promise.all(
      hosts.map((host) => untilTrue(async () => (await clusterUp(host)) === 1, "the cluster is up")),
    )
  })
  afterEach(async () => {
    for (const member of members.splice(0)) member.stop()
    await Promise.all(hosts.splice(0).map((host) => host.kill()))
    await Promise.all(ways.splice(0).map((way) => way.close()))
    await nats.stop()
  })

  const enter = async (topic: Uint8Array, ...wanted: readonly number[]): Promise<Roommate> => {
    const urls = wanted.map((index) => hosts[index]?.url ?? "")
    const member = await createRoommate(topic, urls)
    members.push(member)
    return member
  }

  test("peers on different hosts find each other, talk, and connect", async () => {
    const topic = someTopic()
    const [a, b, c] = [await enter(topic, 0), await enter(topic, 1), await enter(topic, 2)]
    await allKnow([a, b, c])
    expect(await connectPeers(a, c)).toBe("across two hosts")
    b.leave()
    await untilTrue(() => a.knows() === 1 && c.knows() === 1, "b is gone everywhere")
  })

  test("a host that is killed: presence is right within 8 s, and everyone is back within 45 s", async () => {
    const topics = Array.from({ length: 10 }, someTopic)
    const rooms = await Promise.all(
      topics.map((topic) =>
        Promise.all([enter(topic, 0), enter(topic, 1, 2), enter(topic, 1, 0), enter(topic, 2)]),
      ),
    )
    for (const room of rooms) await allKnow(room)
    // One member per room that has no other host to go to.
    const doomed = await Promise.all(topics.map((topic) => enter(topic, 1)))
    for (const [index, room] of rooms.entries()) await allKnow([...room, ...doomed.slice(index, index + 1)])
    const killedAt = performance.now()
    await hosts[1]?.kill()
    for (const room of rooms) {
      await untilTrue(
        () => room.every((member) => !member.open() || member.knows() <= 3),
        "presence is right",
      )
    }
    const rightMs = performance.now() - killedAt
    for (const room of rooms) await allKnow(room)
    const backMs = performance.now() - killedAt
    console.log(`a host killed: presence right after ${seconds(rightMs)}, all back after ${seconds(backMs)}`)
    expect(rightMs).toBeLessThan(8000)
    expect(backMs).toBeLessThan(45_000)
  })

  test("a session moves to another host within its grace, unseen", async () => {
    const topic = someTopic()
    const [a, moving] = [await enter(topic, 0), await enter(topic, 1, 2)]
    await allKnow([a, moving])
    a.departures.length = 0
    await hosts[1]?.kill()
    await untilTrue(() => moving.resumes === 1, "the session was resumed on another host")
    await allKnow([a, moving])
    await pause(9000)
    expect(a.departures).toEqual([])
  })

  test("a host that drains hands its members over: those who stay hear of no leave", async () => {
    const topic = someTopic()
    const a = await enter(topic, 0)
    const balancer = await openBalancer([hosts[1]?.port ?? 0, hosts[2]?.port ?? 0])
    // Some come back before the host is missed, some after.
    const going = Array.from({ length: 8 }, () => openRealClient(`ws://127.0.0.1:${balancer.port}`, topic))
    try {
      await untilTrue(() => a.knows() === going.length, "all are there")
      const startedAt = performance.now()
      await hosts[1]?.close()
      console.log(`a host drained in ${seconds(performance.now() - startedAt)}`)
      await untilTrue(() => going.every(({ joins }) => joins() === 2), "all came to another host")
      // As long as it takes until a host is missed.
      await pause(9000)
      expect(a.departures).toEqual([])
    } finally {
      await Promise.all(going.map(({ client }) => client.close()))
      balancer.close()
    }
    await untilTrue(() => a.departures.length === going.length, "a leave that is meant is one")
  })

  test("a member cannot take another's session through a host that has never heard of it", async () => {
    const topic = someTopic()
    const [a, owner] = [await enter(topic, 0), await enter(topic, 1)]
    await allKnow([a, owner])
    const thief = await connectClient(hosts[2]?.url ?? "")
    try {
      const answer = await thief.join({ topic, peer: Buffer.from(owner.peer, "hex") })
      if (answer.type === "joined") await thief.next("error")
      expect(await a.tell(owner)).toBe("arrived")
      expect(thief.unread.filter(({ type }) => type === "signal")).toEqual([])
    } finally {
      thief.socket.terminate()
    }
    expect(owner.resumes).toBe(0)
    expect(owner.departures).toEqual([])
    expect(a.departures).toEqual([])
  })

  test("NATS stopped: rooms split and go on by host; restarted: they heal", async () => {
    const topic = someTopic()
    const [a, b, near] = [await enter(topic, 0), await enter(topic, 1), await enter(topic, 0)]
    await allKnow([a, b, near])
    await nats.stop()
    await untilTrue(async () => (await clusterUp(hosts[0])) === 0, "cluster_up is 0")
    await untilTrue(() => a.knows() === 1 && b.knows() === 0, "the room has split")
    expect(await a.tell(near)).toBe("arrived")
    nats = await startNatsServer(natsPort)
    const restartedAt = performance.now()
    await allKnow([a, b, near])
    console.log(`NATS restarted: healed after ${seconds(performance.now() - restartedAt)}`)
    expect(await clusterUp(hosts[0])).toBe(1)
    expect(await a.tell(b)).toBe("arrived")
  })

  test("a host that is cut off from NATS harms only itself", async () => {
    const topic = someTopic()
    const [a, b, c] = [await enter(topic, 0), await enter(topic, 1), await enter(topic, 2)]
    await allKnow([a, b, c])
    ways[2]?.cut()
    await untilTrue(() => a.knows() === 1 && b.knows() === 1 && c.knows() === 0, "the room has split")
    expect(b.departures).toHaveLength(1)
    expect(await a.tell(b)).toBe("arrived")
    ways[2]?.mend()
    await allKnow([a, b, c])
    expect(await c.tell(a)).toBe("arrived")
  })

  test("a host that stands still harms only itself", async () => {
    const topic = someTopic()
    const [a, b, c] = [await enter(topic, 0), await enter(topic, 1), await enter(topic, 2)]
    await allKnow([a, b, c])
    const stalled = hosts[2]?.pid ?? 0
    process.kill(stalled, "SIGSTOP")
    try {
      const slowest = await slowestTell(a, b, 9000)
      console.log(`a host stopped: the slowest signal between the others took ${seconds(slowest)}`)
      expect(slowest).toBeLessThan(2000)
      expect(a.knows()).toBe(1)
    } finally {
      process.kill(stalled, "SIGCONT")
    }
    await allKnow([a, b, c])
    expect(c.departures).toEqual([])
    expect(await a.tell(c)).toBe("arrived")
  })
})

/** The real client, with nothing listening to its events. */
function openRealClient(
  url: string,
  topic: Uint8Array,
): { readonly client: RealClient; readonly joins: () => number } {
  let joins = 0
  const client = createSignalingClient({
    url,
    topic,
    peerId: systemRandom().bytes(16),
    token: async () => "",
    webSocket: WebSocket,
    clock: systemClock(),
    random: systemRandom(),
    events: {
      joined: () => void (joins += 1),
      presence() {},
      signal() {},
      gone() {},
      away() {},
      taken() {},
      ice() {},
      lost() {},
      report() {},
    },
  })
  return { client, joins: () => joins }
}

/** One address for several hosts: a connection goes to the first that accepts it. */
async function openBalancer(
  ports: readonly number[],
): Promise<{ readonly port: number; readonly close: () => void }> {
  const port = await freeTcpPort()
  const server = createServer((inner) => {
    const sendTo = ([first, ...others]: readonly number[]): void => {
      if (first === undefined) {
        inner.destroy()
        return
      }
      const outer = connect(first, "127.0.0.1")
      outer.once("error", () => sendTo(others))
      outer.once("connect", () => {
        outer.removeAllListeners("error")
        for (const [from, to] of [
          [inner, outer],
          [outer, inner],
        ] as const) {
          from.pipe(to)
          from.on("error", () => to.destroy()).on("close", () => to.destroy())
        }
      })
    }
    sendTo(ports)
  })
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve))
  return { port, close: () => void server.close() }
}

/** A member that stays: it follows presence, and reconnects by itself to one of its hosts. */
interface Roommate {
  readonly peer: string
  /** How many other members it knows. */
  knows(): number
  knowsAll(peers: readonly string[]): boolean
  /** Peers that it was told have left. */
  readonly departures: string[]
  readonly resumes: number
  open(): boolean
  /** Sends one signal and waits for it to arrive. */
  tell(other: Roommate): Promise<string>
  send(peer: string, text: string): void
  onSignal(receive: (from: string, text: string) => void): void
  leave(): void
  stop(): void
}

async function createRoommate(topic: Uint8Array, urls: readonly string[]): Promise<Roommate> {
  let client: SignalingClient = await connectClient(urls[0] ?? "")
  const id = client.peer
  const others = new Set<string>()
  const departures: string[] = []
  let receive = (_from: string, _text: string): void => {}
  let resume: Uint8Array | null = null
  let resumes = 0
  let joined = false
  let stopped = false
  let attempt = 0

  const follow = async (): Promise<void> => {
    const answer = await client.joined({ topic, peer: id, resume })
    resume = answer.resume
    if (answer.resumed) resumes += 1
    others.clear()
    for (const peer of answer.peers) others.add(hex(peer))
    joined = true
    const current = client
    current.socket.on("message", () => takeAll(current))
    takeAll(current)
    void current.closed.then(() => {
      joined = false
      if (!stopped) void comeBack()
    })
  }
  const takeAll = (from: SignalingClient): void => {
    for (const message of from.unread.splice(0)) {
      if (message.type === "presence") {
        for (const peer of message.joined) others.add(hex(peer))
        for (const peer of message.left) if (others.delete(hex(peer))) departures.push(hex(peer))
      } else if (message.type === "signal") receive(hex(message.from), Buffer.from(message.blob).toString())
    }
  }
  const comeBack = async (): Promise<void> => {
    // Full jitter, as in the real client.
    await pause(Math.random() * Math.min(10_000, 500 * 2 ** attempt))
    attempt += 1
    if (stopped) return
    try {
      client = await connectClient(urls[attempt % urls.length] ?? "")
      await follow()
      attempt = 0
    } catch {
      void comeBack()
    }
  }
  await follow()

  const roommate: Roommate = {
    peer: hex(id),
    departures,
    get resumes() {
      return resumes
    },
    knows: () => others.size,
    knowsAll: (peers) => others.size === peers.length && peers.every((peer) => others.has(peer)),
    open: () => joined,
    tell: (other) =>
      new Promise((resolve) => {
        const word = `word ${Math.random()}`
        const timer = setTimeout(() => resolve("lost"), 10_000)
        other.onSignal((from, text) => {
          if (from !== roommate.peer || text !== word) return
          clearTimeout(timer)
          resolve("arrived")
        })
        roommate.send(other.peer, word)
      }),
    send: (peer, text) =>
      client.send({ type: "signal", channel: 1, to: Buffer.from(peer, "hex"), blob: Buffer.from(text) }),
    onSignal: (next) => void (receive = next),
    leave: () => client.send({ type: "leave", channel: 1 }),
    stop() {
      stopped = true
      client.socket.terminate()
    },
  }
  return roommate
}

/** A real WebRTC connection whose descriptions and candidates travel as signals from host to host. */
async function connectPeers(a: Roommate, b: Roommate): Promise<string> {
  let isOver = false
  const ends = [a, b].map((member, index) => {
    const other = index === 0 ? b : a
    const connection = new PeerConnection(`peer ${index}`, { iceServers: [] })
    connection.onLocalDescription((sdp, type) => member.send(other.peer, JSON.stringify({ sdp, type })))
    connection.onLocalCandidate((candidate, mid) =>
      member.send(other.peer, JSON.stringify({ candidate, mid })),
    )
    // libdatachannel may report a candidate before its description, and throws if one is added first.
    let early: (() => void)[] | null = []
    member.onSignal((_from, text) => {
      const message = JSON.parse(text) as { sdp?: string; type?: string; candidate?: string; mid?: string }
      if (message.sdp === undefined) {
        const add = (): void => {
          if (isOver) return
          try {
            connection.addRemoteCandidate(message.candidate ?? "", message.mid ?? "")
          } catch {
            // On a busy machine its ICE transport may not exist yet, although the description was taken.
            setTimeout(add, 50)
          }
        }
        if (early === null) add()
        else early.push(add)
        return
      }
      connection.setRemoteDescription(message.sdp, message.type as DescriptionType)
      for (const add of early ?? []) add()
      early = null
    })
    return connection
  })
  const [offerer, answerer] = ends
  try {
    return await new Promise<string>((resolve, reject) => {
      setTimeout(() => reject(new Error("not connected")), 20_000)
      answerer?.onDataChannel((channel) =>
        channel.onMessage((text) => resolve(typeof text === "string" ? text : "bytes")),
      )
      const channel = offerer?.createDataChannel("test")
      channel?.onOpen(() => channel.sendMessage("across two hosts"))
    })
  } finally {
    // Candidates still arrive, and adding one to a closed connection throws.
    isOver = true
    for (const member of [a, b]) member.onSignal(() => {})
    for (const connection of ends) connection.close()
  }
}

async function slowestTell(a: Roommate, b: Roommate, forMs: number): Promise<number> {
  const end = performance.now() + forMs
  let slowest = 0
  while (performance.now() < end) {
    const started = performance.now()
    expect(await a.tell(b)).toBe("arrived")
    slowest = Math.max(slowest, performance.now() - started)
    await pause(200)
  }
  return slowest
}

async function startClusterHost(natsPort: number): Promise<HostProcess> {
  const operationsPort = await freeTcpPort()
  const host = await startHostProcess({
    args: [
      "--cluster",
      `nats://127.0.0.1:${natsPort}`,
      "--operations-port",
      String(operationsPort),
      ...roomy,
    ],
  })
  operationsPorts.set(host, operationsPort)
  return host
}

const operationsPorts = new WeakMap<HostProcess, number>()

async function clusterUp(host: HostProcess | undefined): Promise<number> {
  if (host === undefined) throw new Error("no such host")
  const text = await (await fetch(`http://127.0.0.1:${operationsPorts.get(host)}/metrics`)).text()
  return Number(/^dunlin_cluster_up (\d)/m.exec(text)?.[1])
}

async function allKnow(members: readonly Roommate[]): Promise<void> {
  await untilTrue(
    () =>
      members.every((member) => {
        const others = members.filter((other) => other !== member).map(({ peer }) => peer)
        return member.open() && member.knowsAll(others)
      }),
    "all know each other",
  )
}

async function untilTrue(isTrue: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`)
    await pause(20)
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex")
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
