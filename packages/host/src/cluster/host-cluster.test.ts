import { createHash } from "node:crypto"
import { createSimulatedTime, type SimulatedTime } from "@dunlin/core/testing"
import { describe, expect, test } from "vitest"
import { bytesOfKey, keyOfBytes } from "../binary-key.ts"
import { createCounters, type HostCounters } from "../host-counters.ts"
import {
  createTopicDirectory,
  type Member,
  type Outlet,
  type SessionElsewhere,
  type TopicDirectory,
} from "../topic-directory.ts"
import type { ClusterLink } from "./cluster-link.ts"
import { type ClusterMessage, decodeClusterMessage, encodeClusterMessage } from "./cluster-message.ts"
import { createHostCluster, type HostCluster } from "./host-cluster.ts"

const limits = {
  roomMaxSockets: 8,
  roomMessagesPerSecond: 100,
  roomMessageBurst: 100,
  maxTopics: 100,
  graceMs: 10_000,
}
const key = (text: string, length: number): string => text.padEnd(length, "_")
const peerKey = (name: string): string => key(name, 16)
const topicKey = key("topic", 32)

interface Bus {
  link(): ClusterLink & { setUp(up: boolean): void; lossy: boolean }
}

/** Behaves as NATS does: delivers at most once, in order, to those who are subscribed and reachable. */
function createBus(time: SimulatedTime): Bus {
  const links: { subscriptions: Map<object, readonly [string, (bytes: Uint8Array) => void]>; up: boolean }[] =
    []
  return {
    link() {
      const subscriptions = new Map<object, readonly [string, (bytes: Uint8Array) => void]>()
      const listeners: ((up: boolean) => void)[] = []
      const self = { subscriptions, up: true }
      links.push(self)
      return {
        lossy: false,
        publish(subject, bytes) {
          if (!self.up) return false
          const copy = bytes.slice()
          if (this.lossy) return true
          time.schedule(1, () => {
            for (const link of links) {
              if (link === self || !link.up) continue
              for (const [wanted, receive] of [...link.subscriptions.values()])
                if (wanted === subject) receive(copy)
            }
          })
          return true
        },
        subscribe(subject, receive) {
          const handle = {}
          subscriptions.set(handle, [subject, receive])
          return () => void subscriptions.delete(handle)
        },
        get up() {
          return self.up
        },
        onChange: (listener) => void listeners.push(listener),
        setUp(up) {
          self.up = up
          for (const listener of listeners) listener(up)
        },
        close: async () => void (self.up = false),
      }
    },
  }
}

interface Node {
  readonly counters: HostCounters
  /** Faults of the node itself, as it reported them. */
  readonly faults: unknown[]
  readonly directory: TopicDirectory
  readonly cluster: HostCluster
  readonly link: ReturnType<Bus["link"]>
  readonly clock: ReturnType<SimulatedTime["clock"]>
  /** Peers that this node's members can reach in the topic, sorted. */
  known(): string[]
}

interface Seat extends Outlet {
  readonly heard: string[]
}

function createWorld(): { time: SimulatedTime; start(name: string): Node } {
  const time = createSimulatedTime()
  const bus = createBus(time)
  return {
    time,
    start(name) {
      const clock = time.clock()
      const faults: unknown[] = []
      const directory = createTopicDirectory(limits, clock, name, (error) => void faults.push(error))
      const link = bus.link()
      const counters = createCounters()
      const cluster = createHostCluster({
        ...{ link, directory, node: name, clock, counters },
        faulted: (error) => void faults.push(error),
      })
      return {
        counters,
        faults,
        directory,
        cluster,
        link,
        clock,
        known: () =>
          [...(directory.find(topicKey)?.members.keys() ?? [])]
            .map((peer) => peer.replaceAll("_", ""))
            .toSorted(),
      }
    },
  }
}

function createSeat(): Seat {
  const heard: string[] = []
  return {
    heard,
    signal: (_channel, from, blob) => {
      heard.push(`signal ${from.replaceAll("_", "")} ${Buffer.from(blob).toString()}`)
      return true
    },
    unreachable: (_channel, peer, reason) =>
      void heard.push(`unreachable ${peer.replaceAll("_", "")} ${reason}`),
    presence: (member, changes) => {
      for (const [peer, change] of changes) {
        if (peer !== member.peer) heard.push(`${change} ${peer.replaceAll("_", "")}`)
      }
    },
    dispossessed: () => void heard.push("dispossessed"),
  }
}

let claims = 0
function join(
  node: Node,
  name: string,
  options: { seat?: Seat; presentedClaim?: string; elsewhere?: SessionElsewhere | null } = {},
): Member {
  const result = node.directory.join({
    topic: topicKey,
    peer: peerKey(name),
    presentedClaim: options.presentedClaim ?? null,
    claim: key(`claim${++claims}`, 16),
    elsewhere: options.elsewhere ?? null,
    outlet: options.seat ?? createSeat(),
    channel: 1,
    now: node.clock.monotonic(),
  })
  if (result.type !== "joined") throw new Error(result.type)
  return result.member
}

describe("a cluster of hosts", () => {
  test("members on different hosts learn of each other and reach each other", async () => {
    const { time, start } = createWorld()
    const [a, b, c] = [start("a"), start("b"), start("c")]
    const [ada, bob] = [createSeat(), createSeat()]
    join(a, "ada", { seat: ada })
    await time.runFor(200)
    join(b, "bob", { seat: bob })
    join(c, "cyd")
    await time.runFor(500)
    for (const node of [a, b, c]) expect(node.known()).toEqual(["ada", "bob", "cyd"])
    expect(ada.heard).toEqual(["joined bob", "joined cyd"])

    const target = a.directory.find(topicKey)?.members.get(peerKey("bob"))
    if (target === undefined) throw new Error("bob is not known")
    expect(a.cluster.forward(target, peerKey("ada"), Buffer.from("hello"))).toBe(true)
    await time.runFor(10)
    expect(bob.heard).toContain("signal ada hello")
    expect(a.cluster.nodeCount).toBe(2)
  })

  test("who leaves or does not come back is gone everywhere", async () => {
    const { time, start } = createWorld()
    const [a, b] = [start("a"), start("b")]
    join(a, "ada")
    const bob = join(b, "bob")
    const bea = join(b, "bea")
    await time.runFor(500)
    b.directory.leave(bob)
    b.directory.lose(bea, b.clock.monotonic())
    await time.runFor(100)
    expect(a.known()).toEqual(["ada", "bea"])
    await time.runFor(11_000)
    b.directory.sweep(b.clock.monotonic())
    await time.runFor(100)
    expect(a.known()).toEqual(["ada"])
  })

  test("a signal to one who is away or gone is answered from over there", async () => {
    const { time, start } = createWorld()
    const [a, b] = [start("a"), start("b")]
    const ada = createSeat()
    join(a, "ada", { seat: ada })
    const bob = join(b, "bob")
    await time.runFor(500)
    b.directory.lose(bob, b.clock.monotonic())
    const target = a.directory.find(topicKey)?.members.get(peerKey("bob"))
    if (target === undefined) throw new Error("bob is not known")
    a.cluster.forward(target, peerKey("ada"), Buffer.from("?"))
    await time.runFor(100)
    expect(ada.heard).toContain("unreachable bob away")
  })

  test("a host that dies is forgotten within 8 s, and its members with it", async () => {
    const { time, start } = createWorld()
    const [a, b] = [start("a"), start("b")]
    const ada = createSeat()
    join(a, "ada", { seat: ada })
    join(b, "bob")
    await time.runFor(5000)
    b.clock.stop()
    b.link.setUp(false)
    await time.runFor(5000)
    expect(a.known()).toEqual(["ada", "bob"])
    await time.runFor(3000)
    expect(a.known()).toEqual(["ada"])
    expect(ada.heard).toEqual(["joined bob", "left bob"])
  })

  test("a session moves from a dead host to another, and nobody notices", async () => {
    const { time, start } = createWorld()
    const [a, b, c] = [start("a"), start("b"), start("c")]
    const ada = createSeat()
    join(a, "ada", { seat: ada })
    const bob = join(b, "bob")
    join(c, "cyd")
    await time.runFor(1000)
    b.clock.stop()
    b.link.setUp(false)
    await time.runFor(2000)
    expect(() => join(c, "bob", { presentedClaim: "a guess" })).toThrow("peer-id-taken")
    join(c, "bob", { presentedClaim: bob.claim })
    await time.runFor(20_000)
    for (const node of [a, c]) expect(node.known()).toEqual(["ada", "bob", "cyd"])
    expect(ada.heard).toEqual(["joined bob", "joined cyd"])
    expect(a.directory.find(topicKey)?.members.get(peerKey("bob"))?.place).toEqual({
      type: "remote",
      node: "c",
    })
  })

  test("it moves as well to a host where nobody is in the topic yet", async () => {
    const { time, start } = createWorld()
    const [a, b, c] = [start("a"), start("b"), start("c")]
    const ada = createSeat()
    join(a, "ada", { seat: ada })
    const bob = join(b, "bob")
    await time.runFor(1000)
    b.clock.stop()
    b.link.setUp(false)
    const searched = c.cluster.find(topicKey, peerKey("bob"))
    await time.runFor(200)
    const elsewhere = await searched
    expect(elsewhere).toMatchObject({ claim: bob.claim, generation: 1 })
    expect(() => join(c, "bob", { presentedClaim: "a guess", elsewhere })).toThrow("peer-id-taken")
    join(c, "bob", { presentedClaim: bob.claim, elsewhere })
    await time.runFor(20_000)
    for (const node of [a, c]) expect(node.known()).toEqual(["ada", "bob"])
    expect(ada.heard).toEqual(["joined bob"])
    const unknown = c.cluster.find(key("another", 32), peerKey("bob"))
    await time.runFor(200)
    expect(await unknown).toBeNull()
  })

  test("a session taken up on a second host leaves the first, which is still there", async () => {
    const { time, start } = createWorld()
    const [a, b] = [start("a"), start("b")]
    const old = createSeat()
    const bob = join(a, "bob", { seat: old })
    join(b, "bea")
    await time.runFor(500)
    join(b, "bob", { presentedClaim: bob.claim })
    await time.runFor(500)
    expect(old.heard).toContain("dispossessed")
    expect(a.directory.topicCount).toBe(0)
    expect(b.known()).toEqual(["bea", "bob"])
  })

  test("a member of the room cannot take another's session through a host that has never heard of it", async () => {
    const { time, start } = createWorld()
    // Two advantages for the thief: its host has the greater name, and it has resumed its session many times.
    const [a, b, z] = [start("a"), start("b"), start("z")]
    const ada = createSeat()
    const bob = createSeat()
    join(a, "ada", { seat: ada })
    join(b, "bob", { seat: bob })
    await time.runFor(5000)
    z.link.setUp(false)
    const thief = createSeat()
    let stolen = join(z, "bob", { seat: thief })
    for (let round = 0; round < 5; round++)
      stolen = join(z, "bob", { seat: thief, presentedClaim: stolen.claim })
    thief.heard.length = 0
    z.link.setUp(true)
    await time.runFor(1000)
    expect(thief.heard).toEqual(["dispossessed"])
    expect(bob.heard).not.toContain("dispossessed")
    for (const node of [a, b]) expect(node.known()).toEqual(["ada", "bob"])
    const target = a.directory.find(topicKey)?.members.get(peerKey("bob"))
    if (target === undefined) throw new Error("bob is not known")
    a.cluster.forward(target, peerKey("ada"), Buffer.from("for bob"))
    await time.runFor(100)
    expect(bob.heard).toContain("signal ada for bob")
    expect(thief.heard).toEqual(["dispossessed"])
  })

  test("nor where the host of the owner misses what others say, and is missed", async () => {
    const { time, start } = createWorld()
    const [a, z] = [start("a"), start("z")]
    const bob = createSeat()
    join(a, "bob", { seat: bob })
    join(z, "zoe")
    await time.runFor(200)
    // The thief's host is in the room but has lost the one announcement that would have told it of bob.
    const known = z.directory.find(topicKey)
    if (known === undefined) throw new Error("the topic is not known")
    z.directory.remoteLeft(known, peerKey("bob"), "a")
    const thief = createSeat()
    join(z, "bob", { seat: thief })
    await time.runFor(200)
    expect(thief.heard).toContain("dispossessed")
    expect(bob.heard).not.toContain("dispossessed")
  })

  test("without NATS rooms split by side, and heal when it is back", async () => {
    const { time, start } = createWorld()
    const [a, b] = [start("a"), start("b")]
    const ada = createSeat()
    join(a, "ada", { seat: ada })
    join(b, "bob")
    await time.runFor(1000)
    for (const node of [a, b]) node.link.setUp(false)
    await time.runFor(10_000)
    expect(a.known()).toEqual(["ada"])
    expect(b.known()).toEqual(["bob"])
    join(b, "bea")
    await time.runFor(1000)
    for (const node of [a, b]) node.link.setUp(true)
    await time.runFor(1000)
    for (const node of [a, b]) expect(node.known()).toEqual(["ada", "bea", "bob"])
    expect(ada.heard).toEqual(["joined bob", "left bob", "joined bob", "joined bea"])
  })

  test("after a gap too short to be forgotten, what was missed is said at once", async () => {
    const { time, start } = createWorld()
    const [a, b] = [start("a"), start("b")]
    join(a, "ada")
    const bob = join(b, "bob")
    await time.runFor(1000)
    b.link.setUp(false)
    join(b, "bea")
    b.directory.leave(bob)
    await time.runFor(1000)
    b.link.setUp(true)
    await time.runFor(200)
    for (const node of [a, b]) expect(node.known()).toEqual(["ada", "bea"])
  })

  test("a host that was cut off alone comes back alone", async () => {
    const { time, start } = createWorld()
    const [a, b, c] = [start("a"), start("b"), start("c")]
    const ada = createSeat()
    join(a, "ada", { seat: ada })
    join(b, "bob")
    join(c, "cyd")
    await time.runFor(1000)
    c.link.setUp(false)
    await time.runFor(10_000)
    expect(a.known()).toEqual(["ada", "bob"])
    c.link.setUp(true)
    await time.runFor(1000)
    for (const node of [a, b, c]) expect(node.known()).toEqual(["ada", "bob", "cyd"])
    expect(ada.heard.filter((line) => line.endsWith("bob"))).toEqual(["joined bob"])
  })

  test("what is lost on the way is made good within a round of announcements", async () => {
    const { time, start } = createWorld()
    const [a, b] = [start("a"), start("b")]
    join(a, "ada")
    const bob = join(b, "bob")
    await time.runFor(1000)
    b.link.lossy = true
    join(b, "bea")
    b.directory.leave(bob)
    await time.runFor(1000)
    b.link.lossy = false
    expect(a.known()).toEqual(["ada", "bob"])
    await time.runFor(32_000)
    expect(a.known()).toEqual(["ada", "bea"])
  })

  test("two who took the same peer id on hosts that could not see each other become one, the same everywhere", async () => {
    const { time, start } = createWorld()
    const [a, b, c] = [start("a"), start("b"), start("c")]
    join(c, "cyd")
    for (const node of [a, b]) node.link.setUp(false)
    const [one, two] = [createSeat(), createSeat()]
    join(a, "bob", { seat: one })
    join(b, "bob", { seat: two })
    for (const node of [a, b]) node.link.setUp(true)
    await time.runFor(40_000)
    expect([one.heard.includes("dispossessed"), two.heard.includes("dispossessed")]).toEqual([true, false])
    expect(c.directory.find(topicKey)?.members.get(peerKey("bob"))?.place).toEqual({
      type: "remote",
      node: "b",
    })
  })

  test("rubbish on the subjects disturbs nobody", async () => {
    const { time, start } = createWorld()
    const [a, b] = [start("a"), start("b")]
    join(a, "ada")
    join(b, "bob")
    await time.runFor(500)
    for (const subject of ["sig.hb", "sig.n.a"]) {
      for (const bytes of [
        [],
        [1],
        [1, 9],
        [9, 9, 9],
        [1, 3, 1, 98, ...Array.from({ length: 40 }, () => 255)],
      ]) {
        b.link.publish(subject, new Uint8Array(bytes))
      }
    }
    await time.runFor(500)
    expect(a.known()).toEqual(["ada", "bob"])
    // Other people's bytes are not a fault of this host.
    expect(a.faults).toEqual([])
    expect(a.counters.drops.get("cluster")).toBe(10)
  })

  test("a fault in handling one message is told, and the next is handled", async () => {
    const { time, start } = createWorld()
    const [a, b] = [start("a"), start("b")]
    join(a, "ada")
    await time.runFor(500)
    const fault = new Error("of the directory")
    const joined = a.directory.remoteJoined
    Object.assign(a.directory, {
      remoteJoined: () => {
        Object.assign(a.directory, { remoteJoined: joined })
        throw fault
      },
    })
    join(b, "bob")
    await time.runFor(500)
    expect(a.faults).toEqual([fault])
    join(b, "cyd")
    await time.runFor(500)
    expect(a.known()).toContain("cyd")
  })

  test("the topic itself never leaves a host", async () => {
    const { time, start } = createWorld()
    const a = start("a")
    const seen: Buffer[] = []
    const publish = a.link.publish.bind(a.link)
    a.link.publish = (subject, bytes) => {
      seen.push(Buffer.from(subject), Buffer.from(bytes))
      return publish(subject, bytes)
    }
    join(a, "ada")
    await time.runFor(40_000)
    expect(seen.length).toBeGreaterThan(10)
    for (const bytes of seen) expect(keyOfBytes(bytes)).not.toContain("topic_")
  })

  test("a session that was counted to the end can still be taken up, here and by all who hear of it", async () => {
    const { time, start } = createWorld()
    // With equal generations the greater name would win, so the session moves from the greater to the smaller.
    const [a, b, z] = [start("a"), start("b"), start("z")]
    join(a, "ada")
    join(b, "bea")
    const bob = join(z, "bob")
    bob.generation = 0xffff_ffff
    await time.runFor(31_000)
    join(a, "bob", { presentedClaim: bob.claim })
    await time.runFor(1000)
    for (const node of [b, z]) {
      expect(node.directory.find(topicKey)?.members.get(peerKey("bob"))?.place ?? null).toEqual(
        node === z ? null : { type: "remote", node: "a" },
      )
    }
    expect(a.directory.find(topicKey)?.members.get(peerKey("bob"))?.place.type).toBe("here")
    for (const node of [a, b, z]) expect(node.faults).toEqual([])
  })

  test("hosts beyond the thousandth are not taken in, and so none of their members stays for ever", async () => {
    const { time, start } = createWorld()
    const a = start("a")
    const nats = start("stranger").link
    join(a, "ada")
    await time.runFor(500)
    const announce = (index: number): void => {
      const member = { peer: peerKey(`p${index}`), claim: key("", 16), took: null, birth: key("", 12) }
      nats.publish(
        subjectOf(topicKey),
        encodeClusterMessage({
          type: "announce",
          node: `n${index}`,
          topic: hashOfTopic(topicKey),
          complete: true,
          joined: [{ ...member, generation: 1 }],
          left: [],
        }),
      )
    }
    const beat = (index: number): void =>
      void nats.publish(
        "sig.hb",
        encodeClusterMessage({ type: "heartbeat", node: `n${index}`, uptimeMs: 60_000 }),
      )
    for (let index = 0; index < 1100; index++) beat(index)
    await time.runFor(100)
    expect(a.cluster.nodeCount).toBe(1000)
    announce(5)
    announce(1050)
    await time.runFor(100)
    expect(a.known()).toEqual(["ada", "p5"])
    // The stranger's own heartbeat took one of the places.
    expect(a.counters.drops.get("cluster")).toBe(102)
    await time.runFor(8000)
    expect(a.known()).toEqual(["ada"])
    // That place is free again.
    announce(1050)
    await time.runFor(100)
    expect(a.known()).toEqual(["ada", "p1050"])
    await time.runFor(8000)
    expect(a.known()).toEqual(["ada"])
  })

  test("a host that there is no place for does not make this one say everything again", async () => {
    const { time, start } = createWorld()
    const a = start("a")
    const nats = start("stranger").link
    join(a, "ada")
    await time.runFor(500)
    const beat = (index: number): void =>
      void nats.publish(
        "sig.hb",
        encodeClusterMessage({ type: "heartbeat", node: `n${index}`, uptimeMs: 60_000 }),
      )
    for (let index = 0; index < 1000; index++) beat(index)
    await time.runFor(500)
    let asked = 0
    const publish = a.link.publish.bind(a.link)
    a.link.publish = (subject, bytes) => {
      if (decodeClusterMessage(bytes).type === "ask") asked += 1
      return publish(subject, bytes)
    }
    for (let index = 1000; index < 1010; index++) {
      beat(index)
      await time.runFor(50)
    }
    expect(asked).toBe(0)
  })

  test("names of hosts that are made up on and on do not make this one say everything each time", async () => {
    const { time, start } = createWorld()
    const a = start("a")
    const nats = start("stranger").link
    join(a, "ada")
    await time.runFor(5000)
    let asked = 0
    const publish = a.link.publish.bind(a.link)
    a.link.publish = (subject, bytes) => {
      if (decodeClusterMessage(bytes).type === "ask") asked += 1
      return publish(subject, bytes)
    }
    for (let index = 0; index < 100; index++) {
      nats.publish("sig.hb", encodeClusterMessage({ type: "heartbeat", node: `n${index}`, uptimeMs: 60_000 }))
      await time.runFor(100)
    }
    expect(asked).toBeGreaterThan(0)
    expect(asked).toBeLessThanOrEqual(6)
  })

  test("many hosts that fall silent at once are forgotten in one pass over the members", async () => {
    const { time, start } = createWorld()
    const a = start("a")
    const nats = start("stranger").link
    join(a, "ada")
    await time.runFor(500)
    for (let index = 0; index < 900; index++) {
      nats.publish("sig.hb", encodeClusterMessage({ type: "heartbeat", node: `n${index}`, uptimeMs: 0 }))
    }
    await time.runFor(1000)
    const { forgetNodes } = a.directory
    let passes = 0
    Object.assign(a.directory, {
      forgetNodes(nodes: ReadonlySet<string>) {
        passes += 1
        forgetNodes(nodes)
      },
    })
    await time.runFor(8000)
    expect(a.cluster.nodeCount).toBe(1)
    expect(passes).toBe(1)
  })

  test("what only a hostile or broken host says is dropped, and no fault of this one's", async () => {
    const { time, start } = createWorld()
    const a = start("a")
    const nats = start("stranger").link
    const seat = createSeat()
    join(a, "ada", { seat })
    await time.runFor(500)
    const published: string[] = []
    const publish = a.link.publish.bind(a.link)
    a.link.publish = (subject, bytes) => {
      published.push(subject)
      return publish(subject, bytes)
    }
    const topic = hashOfTopic(topicKey)
    const signal = { type: "signal", topic, to: peerKey("ada"), from: peerKey("eve") } as const
    const said: ClusterMessage[] = [
      { ...signal, node: "z", blob: new Uint8Array(70_000) },
      ...["", ">", "*", "a.b", "z 0\r\n\r\nSUB > 1\r\n", "z".repeat(65), "é"].flatMap((node) => [
        { type: "ask", node, topic } as const,
        { type: "find", node, topic, peer: peerKey("ada") } as const,
        { ...signal, to: peerKey("nobody"), node, blob: new Uint8Array(1) },
      ]),
    ]
    for (const message of said) nats.publish("sig.n.a", encodeClusterMessage(message))
    await time.runFor(100)
    expect(published).toEqual([])
    expect(a.faults).toEqual([])
    expect(seat.heard).toEqual([])
    expect(a.counters.drops.get("cluster")).toBe(said.length)
  })

  test("a timer that meets a fault goes on", async () => {
    const { time, start } = createWorld()
    const [a, b] = [start("a"), start("b")]
    join(a, "ada")
    join(b, "bob")
    await time.runFor(500)
    const fault = new Error("of the directory")
    const forgetNodes = a.directory.forgetNodes
    Object.assign(a.directory, {
      forgetNodes: () => {
        Object.assign(a.directory, { forgetNodes })
        throw fault
      },
    })
    b.link.setUp(false)
    await time.runFor(8000)
    expect(a.faults).toEqual([fault])
    b.link.setUp(true)
    await time.runFor(1000)
    expect(b.known()).toEqual(["ada", "bob"])
    await time.runFor(30_000)
    expect(b.known()).toEqual(["ada", "bob"])
  })
})

function hashOfTopic(topic: string): string {
  const hash = createHash("sha256").update("dunlin/1 cluster").update(bytesOfKey(topic)).digest()
  return keyOfBytes(hash.subarray(0, 16))
}

function subjectOf(topic: string): string {
  return `sig.r.${Buffer.from(bytesOfKey(hashOfTopic(topic))).toString("base64url")}`
}
