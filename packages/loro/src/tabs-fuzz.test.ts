import { createSimulatedTime, type SimulatedTime } from "@dunlin/core/testing"
import fc from "fast-check"
import { expect, test } from "vitest"

import { failingStore, type FailingStore } from "../test/failing-store.ts"
import { attachByHand, type HandDriven, pull } from "../test/hand-driven.ts"
import type { LoroDocument } from "./loro-documents.ts"
import { memoryStore, type MemoryStore } from "./store/memory-store.ts"

const IDS = ["a", "b"]
/** Takes seconds on an idle machine; a shared one is many times slower. */
const FUZZ_TIMEOUT_MS = 600_000

type Step =
  | { readonly type: "edit"; readonly tab: number; readonly id: string; readonly times: number }
  | { readonly type: "failing"; readonly tab: number; readonly on: boolean }
  | { readonly type: "delete"; readonly tab: number }
  | { readonly type: "open" }
  | { readonly type: "pass" }
  | { readonly type: "crash" }
  | { readonly type: "close"; readonly tab: number }
  | { readonly type: "hear"; readonly tab: number }

interface Tab {
  readonly replica: HandDriven
  readonly store: FailingStore
}

interface World {
  readonly time: SimulatedTime
  readonly remote: HandDriven
  store: MemoryStore
  tabs: Tab[]
  /** Words whose `saved()` resolved, by document. */
  readonly acknowledged: Map<string, Set<string>>
  deleted: boolean
  words: number
}

const tab = fc.nat(3)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant("edit" as const),
      tab,
      id: fc.constantFrom(...IDS),
      times: fc.constantFrom(1, 1, 2, 70),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("failing" as const), tab, on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("delete" as const), tab }) },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Step>({ type: "open" }, { type: "pass" }, { type: "crash" }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("close" as const), tab }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("hear" as const), tab }) },
)

test(
  "tabs that come, go, crash and cannot write lose nothing that they have saved",
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const time = createSimulatedTime()
        const remote = await attachByHand(
          { name: "notes", store: memoryStore(), clock: time.clock() },
          "cd".repeat(32),
        )
        const world: World = {
          time,
          remote,
          store: memoryStore(),
          tabs: [],
          acknowledged: new Map(IDS.map((id) => [id, new Set()])),
          deleted: false,
          words: 0,
        }
        await open(world)
        for (const one of steps) await run(world, one)
        for (const { store } of world.tabs) store.failing = false
        await time.runFor(90_000)
        for (const { replica } of world.tabs) await replica.attached.flush?.()
        await time.runFor(5_000)
        await check(world)
        const opened = await world.store.open()
        expect(await opened.inbox(0, 10)).toEqual([])
        await opened.close()
        await Promise.all(world.tabs.map(({ replica }) => replica.attached.detach()))
      }),
      { numRuns: Number(process.env["DUNLIN_FUZZ_RUNS"] ?? 40) },
    )
  },
  FUZZ_TIMEOUT_MS,
)

async function open(world: World): Promise<void> {
  const store = failingStore(world.store)
  world.tabs.push({
    store,
    replica: await attachByHand({ name: "notes", store, clock: world.time.clock(), maxIdleDocuments: 1 }),
  })
}

async function run(world: World, one: Step): Promise<void> {
  const { time, tabs } = world
  if (one.type === "pass") return time.runFor(3_000)
  if (one.type === "open") return tabs.length < 4 ? open(world) : undefined
  if (one.type === "crash") return crash(world)
  const chosen = tabs[one.tab % tabs.length] as Tab
  if (one.type === "failing") chosen.store.failing = one.on
  else if (one.type === "edit") await edit(world, chosen, one.id, one.times)
  else if (one.type === "delete") await remove(world, chosen)
  else if (one.type === "close") await close(world, chosen)
  else await hear(world, chosen)
}

async function edit(world: World, { replica }: Tab, id: string, times: number): Promise<void> {
  const written: string[] = []
  let handle: LoroDocument | null = null
  try {
    handle = await replica.docs.open(id)
    for (let at = 0; at < times; at++) {
      const word = `w${world.words++}`
      handle.doc.getText("body").insert(0, `${word} `)
      handle.commit()
      written.push(word)
      await Promise.resolve()
      if (at % 8 === 7) await world.time.runFor(20)
    }
    await handle.saved()
    for (const word of written) world.acknowledged.get(id)?.add(word)
  } catch (error) {
    expect(error).toMatchObject({ code: expect.stringMatching(/^(document-deleted|storage-failed)$/) })
  } finally {
    await handle?.close().catch(() => undefined)
  }
}

/** What a join acknowledges to a peer must be durable too. */
async function hear(world: World, { replica }: Tab): Promise<void> {
  const word = `w${world.words++}`
  const handle = await world.remote.docs.open("a")
  handle.doc.getText("body").push(`${word} `)
  await handle.close()
  try {
    await pull(replica, world.remote, "a")
    world.acknowledged.get("a")?.add(word)
  } catch (error) {
    expect(String(error)).toContain("no space left")
  }
}

async function remove(world: World, { replica }: Tab): Promise<void> {
  try {
    await replica.docs.delete("b")
    world.deleted = true
  } catch (error) {
    expect(error).toMatchObject({ code: "storage-failed" })
  }
}

/** A tab that closes while it cannot write may lose what it could not save, and no more. */
async function close(world: World, closing: Tab): Promise<void> {
  world.tabs = world.tabs.filter((other) => other !== closing)
  await closing.replica.attached.detach()
  if (world.tabs.length === 0) await open(world)
  await check(world)
}

/** Kills all tabs: the next ones find what is on the disk at this moment. */
async function crash(world: World): Promise<void> {
  const before = world.tabs
  world.store = world.store.copy()
  world.tabs = []
  await open(world)
  await Promise.all(before.map(({ replica }) => replica.attached.detach()))
  await check(world)
}

/** Checks the disk as it is now, not what is in memory. */
async function check(world: World): Promise<void> {
  const after = await attachByHand({ name: "notes", store: world.store.copy(), clock: world.time.clock() })
  for (const id of IDS) {
    try {
      await using handle = await after.docs.open(id)
      expect(id === "b" && world.deleted, "a deletion was undone").toBe(false)
      const words = new Set(handle.doc.getText("body").toString().trim().split(" "))
      for (const word of world.acknowledged.get(id) ?? [])
        expect(words, `${id} lacks ${word}`).toContain(word)
    } catch (error) {
      if (id !== "b") throw error
      expect(error).toMatchObject({ code: "document-deleted" })
    }
  }
  expect(after.reports.filter((report) => report.type === "quarantined")).toEqual([])
  await after.attached.detach()
}
