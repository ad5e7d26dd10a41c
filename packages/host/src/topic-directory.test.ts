import { createSimulatedTime } from "@dunlin/core/testing"
import { beforeEach, describe, expect, test } from "vitest"
import type { PresenceChanges } from "./presence-changes.ts"
import {
  createTopicDirectory,
  type JoinResult,
  type Member,
  type Outlet,
  type RemoteMember,
  reachablePeers,
  type TopicDirectory,
} from "./topic-directory.ts"

const limits = {
  roomMaxSockets: 4,
  roomMessagesPerSecond: 10,
  roomMessageBurst: 20,
  maxTopics: 3,
  graceMs: 1000,
}

interface Seat extends Outlet {
  /** "+x" and "-x", in the order in which they were told. */
  readonly told: string[]
  dispossessions: number
}

let time = createSimulatedTime()
let clock = time.clock()
let faults: unknown[] = []
let directory = createDirectory()
let claims = 0

function createDirectory(): TopicDirectory {
  return createTopicDirectory(limits, clock, "node-m", (error) => void faults.push(error))
}

beforeEach(() => {
  time = createSimulatedTime()
  clock = time.clock()
  faults = []
  directory = createDirectory()
  claims = 0
})

function createSeat(): Seat {
  const told: string[] = []
  return {
    told,
    dispossessions: 0,
    signal: () => true,
    unreachable: () => {},
    presence(member: Member, changes: PresenceChanges) {
      for (const [peer, change] of changes)
        if (peer !== member.peer) told.push(`${change === "joined" ? "+" : "-"}${peer}`)
    },
    dispossessed() {
      this.dispossessions += 1
    },
  }
}

function join(
  peer: string,
  options: { seat?: Seat; topic?: string; presentedClaim?: string; claim?: string } = {},
): JoinResult {
  return directory.join({
    topic: options.topic ?? "t",
    peer,
    presentedClaim: options.presentedClaim ?? null,
    claim: options.claim ?? `claim ${++claims}`,
    elsewhere: null,
    outlet: options.seat ?? createSeat(),
    channel: 1,
    now: clock.monotonic(),
  })
}

function joined(peer: string, options: Parameters<typeof join>[1] = {}): Member {
  const result = join(peer, options)
  if (result.type !== "joined") throw new Error(result.type)
  return result.member
}

describe("presence", () => {
  test("the first change is told at once, the next ones together", async () => {
    const seat = createSeat()
    joined("a", { seat })
    await time.runFor(100)
    joined("b")
    await time.runFor(1)
    expect(seat.told).toEqual(["+b"])
    joined("c")
    const d = joined("d")
    await time.runFor(10)
    directory.leave(d)
    expect(seat.told).toEqual(["+b"])
    await time.runFor(50)
    expect(seat.told).toEqual(["+b", "+c", "-d"])
  })

  test("the second to come does not wait for what the first was told of itself", async () => {
    const seat = createSeat()
    joined("a", { seat })
    await time.runFor(2)
    joined("b")
    await time.runFor(1)
    expect(seat.told).toEqual(["+b"])
  })

  test("nobody is told of itself", async () => {
    const seat = createSeat()
    joined("a", { seat })
    await time.runFor(100)
    expect(seat.told).toEqual([])
  })

  test("topics do not hear of each other", async () => {
    const seat = createSeat()
    joined("a", { seat })
    joined("b", { topic: "u" })
    await time.runFor(100)
    expect(seat.told).toEqual([])
  })
})

describe("grace", () => {
  test("who comes back in time was never away for those who were there", async () => {
    const seat = createSeat()
    joined("a", { seat })
    const b = joined("b")
    await time.runFor(100)
    directory.lose(b, clock.monotonic())
    await time.runFor(900)
    const back = join("b", { presentedClaim: b.claim })
    expect(back).toMatchObject({ type: "joined", resumed: true })
    await time.runFor(5000)
    directory.sweep(clock.monotonic())
    expect(seat.told).toEqual(["+b"])
  })

  test("who joins in between is told of the return", async () => {
    const b = joined("b")
    joined("a")
    await time.runFor(100)
    directory.lose(b, clock.monotonic())
    const seat = createSeat()
    const c = joined("c", { seat })
    expect(reachablePeers(c.topic, c)).toEqual(["a"])
    await time.runFor(100)
    join("b", { presentedClaim: b.claim })
    expect(seat.told).toEqual(["+b"])
  })

  test("who does not come back has left when the time is over", async () => {
    const seat = createSeat()
    joined("a", { seat })
    const b = joined("b")
    await time.runFor(100)
    directory.lose(b, clock.monotonic())
    await time.runFor(999)
    directory.sweep(clock.monotonic())
    expect(directory.memberCount).toBe(2)
    await time.runFor(2)
    directory.sweep(clock.monotonic())
    await time.runFor(100)
    expect(seat.told).toEqual(["+b", "-b"])
    expect(join("b", { presentedClaim: b.claim })).toMatchObject({ type: "joined", resumed: false })
  })

  test("a session can be taken over from a socket that is not known to be dead", () => {
    const seat = createSeat()
    const b = joined("b", { seat })
    expect(join("b", { presentedClaim: b.claim })).toMatchObject({ resumed: true })
    expect(seat.dispossessions).toBe(1)
  })

  test("nobody takes a peer id without its claim, nor with one that was used before", () => {
    const b = joined("b")
    const first = b.claim
    expect(join("b")).toEqual({ type: "peer-id-taken" })
    expect(join("b", { presentedClaim: "guess" })).toEqual({ type: "peer-id-taken" })
    expect(join("b", { presentedClaim: first })).toMatchObject({ resumed: true })
    expect(join("b", { presentedClaim: first })).toEqual({ type: "peer-id-taken" })
  })
})

describe("callbacks that throw", () => {
  const refuse = (): never => {
    throw fault
  }
  const fault = new Error("of an observer")

  test("an observer takes nothing from a topic, nor from other observers", async () => {
    const seen: string[] = []
    directory.observe({ topicOpened: refuse, topicClosed: refuse, joined: refuse, left: refuse })
    directory.observe({
      topicOpened: () => void seen.push("opened"),
      topicClosed: () => void seen.push("closed"),
      joined: (member) => void seen.push(`+${member.peer}`),
      left: (member) => void seen.push(`-${member.peer}`),
    })
    const a = joined("a")
    expect(directory.memberCount).toBe(1)
    directory.leave(a)
    expect(seen).toEqual(["opened", "+a", "-a", "closed"])
    expect([directory.topicCount, directory.memberCount]).toEqual([0, 0])
    expect(faults).toEqual([fault, fault, fault, fault])
  })

  test("a socket that cannot be told keeps no others from being told", async () => {
    const seat = createSeat()
    joined("a", { seat: { ...createSeat(), presence: refuse } })
    joined("b", { seat })
    await time.runFor(100)
    joined("c")
    await time.runFor(100)
    expect(seat.told).toEqual(["+a", "+c"])
    expect(faults).toEqual([fault, fault])
  })
})

describe("caps", () => {
  test("a full room takes nobody, but someone who is away makes room", () => {
    const a = joined("a")
    const b = joined("b")
    joined("c")
    joined("d")
    expect(join("e")).toEqual({ type: "room-full" })
    directory.lose(b, clock.monotonic())
    expect(join("e")).toMatchObject({ type: "joined" })
    expect([...a.topic.members.keys()]).toEqual(["a", "c", "d", "e"])
  })

  test("topics are counted, and end with their last member", () => {
    joined("a", { topic: "1" })
    joined("a", { topic: "2" })
    const last = joined("a", { topic: "3" })
    expect(join("a", { topic: "4" })).toEqual({ type: "too-many-topics" })
    directory.leave(last)
    expect(directory.topicCount).toBe(2)
    expect(join("a", { topic: "4" })).toMatchObject({ type: "joined" })
  })

  test("the room's messages are limited as a whole", () => {
    const { topic } = joined("a")
    const granted = Array.from({ length: 50 }, () => directory.drawMessage(topic, 0)).filter(Boolean)
    expect(granted).toHaveLength(20)
    expect(directory.drawMessage(topic, 100)).toBe(true)
  })

  test("leaving twice is leaving once", () => {
    const a = joined("a")
    joined("b")
    directory.leave(a)
    directory.leave(a)
    directory.lose(a, 0)
    expect(directory.memberCount).toBe(1)
  })
})

describe("members on other hosts", () => {
  const remote = (peer: string, facts: Partial<RemoteMember> = {}): RemoteMember => ({
    peer,
    claim: "remote claim",
    took: null,
    birth: "birth",
    generation: 1,
    node: "node-z",
    ...facts,
  })

  test("they come and go like others, but keep no topic alive", async () => {
    const seat = createSeat()
    const a = joined("a", { seat })
    directory.remoteJoined(a.topic, remote("z"))
    await time.runFor(100)
    directory.remoteLeft(a.topic, "z", "another-node")
    await time.runFor(100)
    expect(seat.told).toEqual(["+z"])
    directory.remoteLeft(a.topic, "z", "node-z")
    await time.runFor(100)
    expect(seat.told).toEqual(["+z", "-z"])
    directory.remoteJoined(a.topic, remote("y"))
    directory.leave(a)
    expect(directory.topicCount).toBe(0)
  })

  test("a session from another host is taken up here by its claim, unseen", async () => {
    const seat = createSeat()
    const a = joined("a", { seat })
    directory.remoteJoined(a.topic, remote("z", { generation: 3 }))
    await time.runFor(100)
    expect(join("z")).toEqual({ type: "peer-id-taken" })
    const back = join("z", { presentedClaim: "remote claim" })
    expect(back).toMatchObject({ resumed: true, member: { generation: 4 } })
    await time.runFor(100)
    expect(seat.told).toEqual(["+z"])
  })

  test("a session that was taken up elsewhere is given up here; what is older is ignored", () => {
    const seat = createSeat()
    joined("a")
    const b = joined("b", { seat })
    const { birth } = b
    directory.remoteJoined(b.topic, remote("b", { birth, generation: 2 }))
    expect(seat.dispossessions).toBe(1)
    expect(b.place).toEqual({ type: "remote", node: "node-z" })
    const back = joined("b", { presentedClaim: "remote claim" })
    expect(directory.remoteJoined(back.topic, remote("b", { birth, generation: 2 }))).toBe(back)
    expect(back.place.type).toBe("here")
  })

  test("two hosts on which one client took its session up at once settle on the same one", () => {
    joined("x")
    const b = joined("b")
    const { birth } = b
    directory.remoteJoined(b.topic, remote("b", { birth, node: "node-a" }))
    expect(b.place.type).toBe("here")
    directory.remoteJoined(b.topic, remote("b", { birth, node: "node-z" }))
    expect(b.place).toEqual({ type: "remote", node: "node-z" })
  })

  test("a peer id in two sessions is the older one's, however often the younger was taken up again", async () => {
    await time.runFor(1000)
    const seat = createSeat()
    joined("a")
    const b = joined("b", { seat })
    const younger = b.birth.replace(/.$/s, "\xff")
    expect(directory.remoteJoined(b.topic, remote("b", { birth: younger, generation: 9 }))).toBe(b)
    expect(seat.dispossessions).toBe(0)
    expect(directory.remoteJoined(b.topic, remote("b", { birth: "\0".repeat(12) }))).toBeNull()
    expect(seat.dispossessions).toBe(1)
  })

  test("but a client that has shown the secret of the older one goes on with the younger", () => {
    const seat = createSeat()
    joined("a")
    const b = joined("b", { seat, claim: "claim of b" })
    const younger = b.birth.replace(/.$/s, "\xff")
    directory.remoteJoined(b.topic, remote("b", { birth: younger, took: "a guess" }))
    expect(seat.dispossessions).toBe(0)
    directory.remoteJoined(b.topic, remote("b", { birth: younger, took: "claim of b" }))
    expect(seat.dispossessions).toBe(1)
    // What its old host still says of it does not turn that back.
    directory.remoteJoined(b.topic, remote("b", { claim: "claim of b", birth: "\0", node: "node-old" }))
    expect(b.place).toEqual({ type: "remote", node: "node-z" })
  })
})
