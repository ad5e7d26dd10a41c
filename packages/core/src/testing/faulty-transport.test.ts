import { afterEach, expect, test } from "vitest"
import { memoryIdentity } from "../crypto/identity.ts"
import { createInvite } from "../room/invite.ts"
import { openRoom } from "../room/open-room.ts"
import type { Room } from "../room/room.ts"
import { faulty, type FaultyTransport } from "./faulty-transport.ts"
import { createMemoryReplica, type MemoryCollection } from "./memory-replica.ts"
import { createMemoryNetwork } from "./memory-transport.ts"

const opened: Room[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((room) => room.close()))
})

interface Member {
  readonly room: Room
  readonly transport: FaultyTransport
  readonly things: MemoryCollection
}

async function gather(count: number): Promise<readonly Member[]> {
  const network = createMemoryNetwork()
  const invite = createInvite()
  const members: Member[] = []
  for (let index = 0; index < count; index++) {
    const transport = faulty(network.transport())
    const room = await openRoom({ invite, transports: [transport], identity: memoryIdentity() })
    opened.push(room)
    members.push({ room, transport, things: await room.replicate(createMemoryReplica({ name: "things" })) })
  }
  await until(
    () => members.every(({ room }) => room.peers.get().length === count - 1),
    "everybody to be linked",
  )
  return members
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 15_000
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited 15 s for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

test("latency delays, and keeps the order", async () => {
  const [ada, bob] = (await gather(2)) as [Member, Member]
  ada.transport.set({ latencyMs: 150 })
  const start = performance.now()
  await ada.things.set("a", { n: 1 })
  await ada.things.set("a", { n: 2 })
  await until(() => bob.things.get("a")?.["n"] === 2, "the later write")
  expect(performance.now() - start).toBeGreaterThan(140)
})

test("loss delays some messages and loses none", async () => {
  const [ada, bob] = (await gather(2)) as [Member, Member]
  ada.transport.set({ lossPercent: 100 })
  const start = performance.now()
  await ada.things.set("a", { n: 1 })
  await until(() => bob.things.get("a") !== null, "the message to be sent again")
  expect(performance.now() - start).toBeGreaterThan(190)
  ada.transport.set({ lossPercent: 30 })
  for (let index = 0; index < 50; index++) await ada.things.set(`k${index}`, { index })
  await until(() => bob.things.keys.length === 51, "all of them")
})

test("offline holds everything back, and what was written comes afterwards", async () => {
  const [ada, bob] = (await gather(2)) as [Member, Member]
  ada.transport.set({ offline: true })
  await ada.things.set("a", { n: 1 })
  await bob.things.set("b", { n: 1 })
  await pause(100)
  expect(bob.things.get("a")).toBeNull()
  expect(ada.things.get("b")).toBeNull()
  ada.transport.set({ offline: false })
  await until(() => bob.things.get("a") !== null && ada.things.get("b") !== null, "both writes")
})

test("a partition parts single peers and leaves the others their way", async () => {
  const [ada, bob, cat] = (await gather(3)) as [Member, Member, Member]
  const [first] = ada.transport.remotes()
  for (const remote of ada.transport.remotes()) ada.transport.set({ offline: true }, remote)
  await bob.things.set("b", { n: 1 })
  await until(() => cat.things.get("b") !== null, "the others to go on")
  expect(ada.things.get("b")).toBeNull()
  ada.transport.set({ offline: false }, first)
  await until(() => ada.things.get("b") !== null, "the entry by the one way that is left")
})
