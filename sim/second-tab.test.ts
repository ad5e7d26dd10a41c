import {
  createMemoryReplica,
  createSeededRandom,
  createSimulatedConnection,
  createSimulatedTime,
  createSyncEngine,
  type MemoryCollection,
  type SyncEngine,
} from "@dunlin/core/testing"
import { expect, test } from "vitest"
import { linkEngine } from "./engine-link.ts"
import { strictEvents } from "./strict-events.ts"

interface Member {
  readonly session: string
  readonly device: string
  readonly engine: SyncEngine
  readonly collection: MemoryCollection
}

const LINK_MS: readonly [number, number] = [20, 25]
const TAB_MS: readonly [number, number] = [1, 2]
/** Enough for two links in a row; what is only announced takes three times as long. */
const SOON_MS = 80

function createWorld() {
  const time = createSimulatedTime()
  const random = createSeededRandom("second tab")
  const createMember = async (): Promise<Member> => {
    const sessionId = random.bytes(16)
    const session = Buffer.from(sessionId).toString("hex")
    const device = session.repeat(2)
    const clock = time.clock()
    const engine = createSyncEngine({
      clock,
      random: random.fork(session),
      sessionId,
      device,
      digestKey: new Uint8Array(32).fill(3),
      roomTag: new Uint8Array(32).fill(4),
      events: strictEvents,
    })
    const replica = createMemoryReplica({ name: "notes", clock, random: random.fork(`${session}/notes`) })
    return { session, device, engine, collection: await engine.replicate(replica) }
  }
  const link = (a: Member, b: Member, latencyMs: readonly [number, number]): void => {
    const names = [a.session, b.session] as const
    const connection = createSimulatedConnection({
      time,
      random: random.fork(names.join()),
      names,
      latencyMs,
    })
    linkEngine(a.engine, connection, 0, b)
    linkEngine(b.engine, connection, 1, a)
  }
  return { time, createMember, link }
}

test.each([1, 2])(
  "whoever has a second tab (%i of three people) is as quick as the others",
  async (withTabs) => {
    const { time, createMember, link } = createWorld()
    const people = [await createMember(), await createMember(), await createMember()]
    const [a, b, c] = people as [Member, Member, Member]
    link(a, b, LINK_MS)
    link(a, c, LINK_MS)
    link(b, c, LINK_MS)
    const tabs: Member[] = []
    for (const owner of people.slice(0, withTabs)) {
      const tab = await createMember()
      link(owner, tab, TAB_MS)
      tabs.push(tab)
    }
    const all = [...people, ...tabs]
    await time.runFor(20_000)
    const late: string[] = []
    for (let write = 0; write < 15; write++) {
      const key = `note-${write}`
      void people[write % 3]?.collection.set(key, { write })
      await time.runFor(SOON_MS)
      if (all.some(({ collection }) => collection.get(key) === null)) late.push(key)
      await time.runFor(1_000)
    }
    expect(late).toEqual([])
    await Promise.all(all.map(({ engine }) => engine.close()))
  },
)
