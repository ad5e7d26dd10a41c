import { createInvite } from "@dunlin/core"
import { afterAll, beforeAll, expect, test } from "vitest"
import { createHarness, type Harness } from "./harness.ts"

type TabsPage = typeof import("../rxdb/tabs-page.ts")

let harness: Harness
beforeAll(() => {
  harness = createHarness()
})
afterAll(() => harness.close())

/** Opens a page in several tabs of several profiles, all in one room. */
async function createRoom(storage: "dexie" | "memory" = "dexie") {
  const site = await harness.site(new URL("../rxdb/tabs-page.ts", import.meta.url))
  const host = await harness.host()
  const options = { invite: createInvite(), signaling: host.url, storage }
  const [ada, bob] = [await harness.chromium(), await harness.chromium()]
  const start = async (profile: typeof ada) => {
    const tab = await profile.open<TabsPage>(site)
    await tab.call("start", options)
    return tab
  }
  return { ada: () => start(ada), bob: () => start(bob) }
}

type Tab = Awaited<ReturnType<Awaited<ReturnType<typeof createRoom>>["ada"]>>

const eventually = <Value>(read: () => Promise<Value>) =>
  expect.poll(read, { timeout: 60_000, interval: 200 })

/** Crashes only this tab, as when it runs out of memory. */
async function crash({ page }: Tab): Promise<void> {
  const crashed = page.waitForEvent("crash")
  const session = await page.context().newCDPSession(page)
  // The renderer dies while answering.
  void session.send("Page.crash").catch(() => undefined)
  await crashed
}

/**
 * Nothing runs in this tab until the returned function is called, as in one that a phone has suspended. Chromium's own
 * `Page.setWebLifecycleState` leaves a tab of a browser without windows running.
 */
async function suspend({ page }: Tab): Promise<() => Promise<void>> {
  const session = await page.context().newCDPSession(page)
  await session.send("Debugger.enable")
  const paused = new Promise((resolve) => session.once("Debugger.paused", resolve))
  await session.send("Debugger.pause")
  await paused
  return async () => {
    await session.send("Debugger.resume")
    await session.detach()
  }
}

test("what a tab stored as it died, and told no other tab of, reaches the peers of the tab that lives", async () => {
  const { ada, bob } = await createRoom()
  const holder = await ada()
  const dying = await ada()
  const far = await bob()
  const reaches = (id: string) => eventually(() => far.call("ids")).toContain(id)

  await dying.call("insert", "told")
  await reaches("told")
  await dying.call("fallSilent")
  await dying.call("insert", "untold")
  await dying.page.close()
  await reaches("untold")
  await holder.call("insert", "afterwards")
  await reaches("afterwards")
})

test("tabs that crash in the middle of writes leave nothing that their profile shows and its peer does not", async () => {
  const { ada, bob } = await createRoom()
  const far = await bob()
  let holder = await ada()
  const survivor = await ada()
  for (const round of [1, 2, 3]) {
    const dying = await ada()
    await dying.call("insertForEver", `dying ${round}`)
    await holder.call("insertForEver", `holder ${round}`)
    await eventually(async () => (await far.call("ids")).some((id) => id.startsWith(`dying ${round}`))).toBe(
      true,
    )
    await crash(dying)
    if (round === 2) {
      await crash(holder)
      await eventually(() => survivor.call("standsBy")).toBe(false)
      holder = survivor
    } else await holder.call("insertNoMore")
  }
  await holder.call("insertNoMore")
  const stored = await (await ada()).call("ids")
  expect(stored.length).toBeGreaterThan(6)
  await eventually(() => far.call("ids")).toEqual(stored)
})

test("a second tab is open at once, stands by, and takes over with the same handle when the first crashes", async () => {
  const { ada, bob } = await createRoom()
  const holder = await ada()
  expect(await holder.call("standsBy")).toBe(false)
  const second = await ada()
  expect(await second.call("standsBy")).toBe(true)
  expect(await second.call("replicaReports")).toContain("standing-by")
  expect(await holder.call("replicaReports")).not.toContain("standing-by")

  // Nobody else has it, so neither may resolve; the other tab of the same device does not count.
  await second.call("insert", "of the second")
  await second.call("beginSynced")
  await crash(holder)
  await eventually(() => second.call("standsBy")).toBe(false)
  expect(await second.call("outcomesOfSynced")).toEqual([])

  await second.call("insert", "after the first")
  const far = await bob()
  await eventually(() => far.call("ids")).toEqual(["after the first", "of the second"])
  await eventually(() => second.call("outcomesOfSynced")).toEqual(["handle: held", "room: held"])
})

test("synced() of a tab that stands by resolves when other devices hold what it stored", async () => {
  const { ada, bob } = await createRoom()
  await ada()
  const second = await ada()
  await second.call("fallSilentToRxdb")
  await second.call("insert", "told to nobody")
  await second.call("beginSynced")
  const far = await bob()
  await eventually(() => second.call("outcomesOfSynced")).toEqual(["handle: held", "room: held"])
  expect(await far.call("ids")).toEqual(["told to nobody"])
  expect(await second.call("standsBy")).toBe(true)
})

test("whatever closes in a tab that stands by, nothing stays open, and it can be replicated again", async () => {
  const { ada } = await createRoom()
  const holder = await ada()
  const second = await ada()
  const third = await ada()
  await second.call("beginSynced")
  await second.call("closeHandle")
  // The room stays open, but no longer has anything on this device to wait for.
  await eventually(() => second.call("outcomesOfSynced")).toEqual([
    "handle: replica-closed",
    "room: replica-closed",
  ])
  await second.call("closeDatabase")
  await second.call("replicate")
  expect(await second.call("standsBy")).toBe(true)
  await second.call("closeDatabase")
  await second.call("replicate")
  await second.call("beginSynced")
  await second.call("closeRoom")
  await eventually(() => second.call("outcomesOfSynced")).toEqual([
    "handle: closed",
    "handle: replica-closed",
    "room: closed",
    "room: replica-closed",
  ])

  await holder.call("closeRoom")
  await eventually(() => third.call("standsBy")).toBe(false)
})

test("tabs that keep the same collection in memory stand by for nobody, and each counts what it wrote itself", async () => {
  const { ada, bob } = await createRoom("memory")
  const first = await ada()
  const second = await ada()
  expect([await first.call("standsBy"), await second.call("standsBy")]).toEqual([false, false])
  await first.call("insert", "of the first")
  await second.call("insert", "of the second")
  await second.call("beginSynced")
  // The other tab belongs to the same device, so it does not count.
  await eventually(() => first.call("ids")).toEqual(["of the first", "of the second"])
  expect(await second.call("outcomesOfSynced")).toEqual([])
  const far = await bob()
  await eventually(() => second.call("outcomesOfSynced")).toEqual(["handle: held", "room: held"])
  expect(await far.call("ids")).toContain("of the second")
})

test("while the tab that replicates is suspended, others write, synced() tells, and all travels once it wakes or dies", async () => {
  const { ada, bob } = await createRoom()
  const holder = await ada()
  const second = await ada()
  const far = await bob()
  const resume = await suspend(holder)
  await second.call("insert", "while it sleeps")
  expect(await second.call("codeOfSynced")).toBe("no-peers")
  const third = await ada()
  expect(await third.call("standsBy")).toBe(true)
  expect(await third.call("ids")).toEqual(["while it sleeps"])
  expect(await far.call("ids")).toEqual([])
  await second.call("beginSynced")
  await resume()
  await eventually(() => second.call("outcomesOfSynced")).toEqual(["handle: held", "room: held"])
  expect(await far.call("ids")).toEqual(["while it sleeps"])

  await suspend(holder)
  await second.call("insert", "while it sleeps again")
  await crash(holder)
  await eventually(() => far.call("ids")).toContain("while it sleeps again")
  await eventually(() => second.call("standsBy")).toBe(false)
})

test("a tab that steps back before it is suspended leaves the collection to the next one", async () => {
  const { ada, bob } = await createRoom()
  const holder = await ada()
  const second = await ada()
  const far = await bob()
  await holder.call("stepBack")
  await eventually(() => second.call("standsBy")).toBe(false)
  expect(await holder.call("standsBy")).toBe(true)
  await suspend(holder)
  await second.call("insert", "of the second")
  await eventually(() => far.call("ids")).toEqual(["of the second"])
})
