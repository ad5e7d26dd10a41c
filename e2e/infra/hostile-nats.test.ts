import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import {
  type ClusterMessage,
  decodeClusterMessage,
  encodeClusterMessage,
} from "../../packages/host/src/cluster/cluster-message.ts"
import {
  connectClient,
  pause,
  type SignalingClient,
  someTopic,
  until,
} from "../../packages/host/test/signaling-client.ts"
import { type HostProcess, startHostProcess } from "../browser/harness/host-process.ts"
import { freeTcpPort, type NatsServer, natsServerProblem, startNatsServer } from "./nats-server.ts"

const problem = natsServerProblem()
if (problem !== null) console.log(`skipped: ${problem}`)

/** What an attack may leave in a host, as far as memory goes. */
const GROWTH_BYTES = 200 * 1024 * 1024

interface Host {
  readonly process: HostProcess
  readonly operationsPort: number
}

describe.skipIf(problem !== null)("two hosts whose NATS server has a hostile user", () => {
  let nats: NatsServer
  let stranger: Stranger
  let hosts: readonly [Host, Host]
  let members: readonly [SignalingClient, SignalingClient]
  const topic = someTopic()

  beforeEach(async () => {
    const port = await freeTcpPort()
    nats = await startNatsServer(port)
    stranger = await openStranger(port)
    hosts = [await startHost(port), await startHost(port)]
    for (const host of hosts) {
      await until(async () => (await metric(host, "dunlin_cluster_up")) === 1, "the cluster is up")
    }
    members = [await enter(hosts[0]), await enter(hosts[1])]
    await talk()
  })
  afterEach(async () => {
    for (const { socket } of members) socket.terminate()
    await Promise.all(hosts.map(({ process }) => process.kill()))
    stranger.close()
    await nats.stop()
  })

  const enter = async (host: Host): Promise<SignalingClient> => {
    const client = await connectClient(host.process.url)
    await client.joined({ topic })
    return client
  }

  /** Each gets a signal from the other through both hosts, sooner or later. */
  const talk = async (): Promise<void> => {
    for (const [from, to] of [members, [members[1], members[0]]] as const) {
      const blob = new Uint8Array(randomBytes(24))
      const isHere = (): boolean =>
        to.unread.some(
          (message) => message.type === "signal" && Buffer.from(message.blob).equals(Buffer.from(blob)),
        )
      let sentAt = 0
      // An attack may have hidden the member: announcements come round within half a minute.
      const deadline = Date.now() + 60_000
      while (!isHere()) {
        if (Date.now() > deadline) throw new Error("no signal came through")
        if (Date.now() - sentAt > 1000) {
          from.send({ type: "signal", channel: 1, to: to.peer, blob })
          sentAt = Date.now()
        }
        await pause(20)
      }
    }
  }

  const attack = async (run: (say: Stranger["say"]) => Promise<void>): Promise<void> => {
    const before = hosts.map(({ process }) => residentBytes(process.pid))
    await run(stranger.say)
    await stranger.flush()
    await talk()
    for (const client of members) expect(client.socket.readyState).toBe(client.socket.OPEN)
    for (const [at, host] of hosts.entries()) {
      expect(await metric(host, "dunlin_handler_errors_total")).toBe(0)
      expect(residentBytes(host.process.pid) - (before[at] ?? 0)).toBeLessThan(GROWTH_BYTES)
    }
  }

  test("rubbish of any size, with headers and reply subjects, disturbs nobody", async () => {
    await attack(async (say) => {
      await until(() => stranger.subjects().length >= 4, "the subjects of the hosts are known")
      for (let round = 0; round < 300; round++) {
        for (const subject of stranger.subjects()) {
          say(subject, randomBytes(round * 3), { reply: stranger.subjects()[0] ?? "" })
          say(subject, Buffer.concat([Buffer.from([1, round % 9]), randomBytes(round)]), { header: "X: y" })
          say(subject, randomBytes(10), { reply: subject, header: "Status: 503" })
        }
        await stranger.flush()
      }
      for (const subject of stranger.subjects()) say(subject, Buffer.alloc(1_000_000, 1))
    })
    for (const host of hosts)
      expect(await metric(host, 'dunlin_drops_total{reason="cluster"}')).toBeGreaterThan(900)
  })

  test("a flood of forged messages passes, and then all is as it was", async () => {
    await attack(async (say) => {
      await until(() => stranger.nodes().length === 2 && stranger.topics().length === 1, "all is known")
      const [hash = ""] = stranger.topics()
      const subject = stranger.subjects().find((one) => one.startsWith("sig.r.")) ?? ""
      const name = (length: number): string => randomBytes(length).toString("latin1")
      const forged = (node: string): readonly ClusterMessage[] => [
        { type: "heartbeat", node: randomBytes(9).toString("hex"), uptimeMs: 1e9 },
        { type: "ask", node, topic: hash },
        { type: "find", node, topic: hash, peer: keyOf(members[0].peer) },
        { type: "announce", node, topic: hash, complete: true, joined: [], left: [] },
        {
          type: "announce",
          node: randomBytes(9).toString("hex"),
          topic: hash,
          complete: true,
          joined: Array.from({ length: 64 }, () => ({
            peer: name(16),
            claim: name(16),
            took: null,
            birth: name(12),
            generation: 0xffff_ffff,
          })),
          left: [keyOf(members[1].peer)],
        },
        {
          type: "found",
          topic: hash,
          peer: keyOf(members[0].peer),
          claim: name(16),
          birth: name(12),
          generation: 7,
        },
        {
          type: "unreachable",
          topic: hash,
          sender: keyOf(members[0].peer),
          peer: keyOf(members[1].peer),
          reason: "gone",
        },
        {
          type: "signal",
          node,
          topic: hash,
          to: keyOf(members[0].peer),
          from: keyOf(members[1].peer),
          blob: new Uint8Array(randomBytes(2000)),
        },
      ]
      for (let round = 0; round < 2500; round++) {
        for (const node of stranger.nodes()) {
          for (const message of forged(node)) {
            const isForOne = ["found", "unreachable", "signal"].includes(message.type)
            const at = isForOne ? `sig.n.${node}` : message.type === "heartbeat" ? "sig.hb" : subject
            say(at, encodeClusterMessage(message))
          }
        }
        if (round % 50 === 0) await stranger.flush()
        for (const client of members) client.unread.length = 0
      }
    })
  })
})

const keyOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")

async function startHost(natsPort: number): Promise<Host> {
  const operationsPort = await freeTcpPort()
  const process = await startHostProcess({
    args: [
      ["--cluster", `nats://127.0.0.1:${natsPort}`],
      ["--operations-port", String(operationsPort)],
      ["--max-loop-lag-ms", "60000"],
    ].flat(),
  })
  return { process, operationsPort }
}

async function metric({ operationsPort }: Host, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${operationsPort}/metrics`)).text()
  const line = text.split("\n").find((one) => one.startsWith(`${name} `))
  return Number(line?.slice(name.length + 1) ?? 0)
}

function residentBytes(pid: number): number {
  const [, pages = "0"] = readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")
  return Number(pages) * 4096
}

/** Speaks NATS' own protocol, so that nothing checks what it says, and hears everything that the hosts say. */
interface Stranger {
  say(subject: string, bytes: Uint8Array, more?: { readonly reply?: string; readonly header?: string }): void
  /** Resolves once the server has taken all that was said. */
  flush(): Promise<void>
  subjects(): readonly string[]
  nodes(): readonly string[]
  topics(): readonly string[]
  close(): void
}

async function openStranger(port: number): Promise<Stranger> {
  const socket: Socket = connect(port, "127.0.0.1")
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()))
  socket.write('CONNECT {"verbose":false,"headers":true,"echo":false}\r\nSUB sig.> 1\r\n')
  const subjects = new Set<string>()
  const nodes = new Set<string>()
  const topics = new Set<string>()
  const pongs: (() => void)[] = []
  let rest: Buffer = Buffer.alloc(0)

  const hear = (subject: string, bytes: Uint8Array): void => {
    subjects.add(subject)
    const message = decodeClusterMessage(bytes)
    if (message.type === "heartbeat") {
      nodes.add(message.node)
      subjects.add(`sig.n.${message.node}`)
    } else topics.add(message.topic)
  }
  socket.on("data", (data: Buffer) => {
    rest = Buffer.concat([rest, data])
    for (;;) {
      const end = rest.indexOf("\r\n")
      if (end < 0) return
      const [verb, subject = "", ...more] = rest.subarray(0, end).toString().split(" ")
      const length = verb === "MSG" ? Number(more.at(-1)) + 2 : 0
      if (rest.length < end + 2 + length) return
      if (verb === "MSG") hear(subject, rest.subarray(end + 2, end + length))
      if (verb === "PING") socket.write("PONG\r\n")
      if (verb === "PONG") pongs.shift()?.()
      rest = rest.subarray(end + 2 + length)
    }
  })
  socket.on("error", () => {})
  return {
    say(subject, bytes, { reply = "", header } = {}) {
      const to = reply === "" ? subject : `${subject} ${reply}`
      if (header === undefined) {
        socket.write(`PUB ${to} ${bytes.length}\r\n`)
      } else {
        const head = `NATS/1.0\r\n${header}\r\n\r\n`
        socket.write(`HPUB ${to} ${head.length} ${head.length + bytes.length}\r\n${head}`)
      }
      socket.write(bytes)
      socket.write("\r\n")
    },
    flush: () =>
      new Promise((resolve) => {
        pongs.push(resolve)
        socket.write("PING\r\n")
      }),
    subjects: () => [...subjects],
    nodes: () => [...nodes].slice(0, 2),
    topics: () => [...topics],
    close: () => void socket.destroy(),
  }
}
