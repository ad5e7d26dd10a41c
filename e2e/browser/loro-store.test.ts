import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { crashBrowsers } from "../loro/browser-crashes.ts"
import { createHarness, type Harness } from "./harness.ts"
import type { TestSite } from "./harness/test-site.ts"

type Page = typeof import("../loro/loro-page.ts")

let harness: Harness
let site: TestSite
beforeAll(async () => {
  harness = createHarness()
  site = await harness.site(new URL("../loro/loro-page.ts", import.meta.url))
})
afterAll(() => harness.close())

function missing(words: Iterable<string>, text: string): readonly string[] {
  const there = new Set(text.trim().split(" "))
  return [...words].filter((word) => !there.has(word))
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe("tabs of one browser", () => {
  test("lose nothing when they are closed in the middle of typing", async () => {
    const profile = await harness.chromium()
    const words = new Set<string>()
    const start = async (name: string): Promise<Awaited<ReturnType<typeof profile.open<Page>>>> => {
      const tab = await profile.open<Page>(site)
      await tab.call("start", { store: "tabs" })
      await tab.call("open", "x")
      await tab.call("typeForEver", "x", name, 15)
      return tab
    }
    const tabs = [await start("a"), await start("b"), await start("c")]
    for (let round = 0; round < 4; round++) {
      await pause(300 + round * 60)
      // The oldest holds the lease; whoever is next takes over while all go on typing.
      const oldest = tabs.shift()
      for (const word of (await oldest?.call("typed")) ?? []) words.add(word)
      await oldest?.page.close({ runBeforeUnload: false })
      tabs.push(await start(`${round}-`))
    }
    await pause(300)
    for (const tab of tabs) for (const word of await tab.call("typed")) words.add(word)
    const reader = await profile.open<Page>(site)
    await reader.call("start", { store: "tabs" })
    await reader.call("open", "x")
    await expect
      .poll(async () => missing(words, await reader.call("read", "x")), { timeout: 10_000 })
      .toEqual([])
    expect(words.size).toBeGreaterThan(100)
    for (const tab of tabs) await tab.page.close()
    // And all of it is on the disk: a new tab alone finds it.
    await reader.page.close()
    const alone = await profile.open<Page>(site)
    await alone.call("start", { store: "tabs" })
    await alone.call("open", "x")
    expect(missing(words, await alone.call("read", "x"))).toEqual([])
    expect(await alone.call("reported")).toEqual([])
    await alone.call("insert", "x", 0, "still-writable ")
    await alone.call("saved", "x")
    await profile.close()
  })

  test("that lost their database to another one leave it the lease, and say so", async () => {
    const profile = await harness.chromium()
    const start = async (): Promise<Awaited<ReturnType<typeof profile.open<Page>>>> => {
      const tab = await profile.open<Page>(site)
      await tab.call("start", { store: "taken" })
      await tab.call("open", "x")
      return tab
    }
    const [holder, follower] = [await start(), await start()]
    await holder.call("insert", "x", 0, "before ")
    await holder.call("saved", "x")
    await follower.page.evaluate(
      () =>
        new Promise((resolve, reject) => {
          const deleting = indexedDB.deleteDatabase("dunlin-loro-taken")
          deleting.addEventListener("success", resolve)
          deleting.addEventListener("error", reject)
        }),
    )
    const next = await start()
    await expect
      .poll(() =>
        next.page.evaluate(async () => {
          const { held = [], pending = [] } = await navigator.locks.query()
          return [held.length, pending.length]
        }),
      )
      .toEqual([1, 0])
    await next.call("insert", "x", 0, "after ")
    await next.call("saved", "x")
    for (const tab of [holder, follower]) {
      await tab.call("insert", "x", 0, "late ")
      await expect(tab.call("saved", "x")).rejects.toThrow("could not be stored")
    }
    // What it wrote is in the log, as only the holder of the lease does.
    await next.page.close()
    const last = await start()
    expect(await last.call("read", "x")).toBe("after ")
    expect(await last.call("reported")).toEqual([])
    await profile.close()
  })

  test("take in what a killed tab told nobody of, and what others built upon it", async () => {
    const profile = await harness.chromium()
    const start = async (): Promise<Awaited<ReturnType<typeof profile.open<Page>>>> => {
      const tab = await profile.open<Page>(site)
      await tab.call("start", { store: "orphan" })
      await tab.call("open", "x")
      return tab
    }
    const [holder, dying] = [await start(), await start()]
    // It stores its edit and dies before its message about it.
    await dying.page.evaluate(() => {
      BroadcastChannel.prototype.postMessage = () => undefined
    })
    await dying.call("insert", "x", 0, "orphan ")
    await dying.call("saved", "x")
    await dying.page.close()
    const later = await start()
    for (const word of ["one ", "two ", "three "]) {
      await later.call("insert", "x", 0, word)
      await later.call("saved", "x")
    }
    await expect.poll(() => holder.call("read", "x"), { timeout: 20_000 }).toBe("three two one orphan ")
    expect(await holder.call("reported")).toEqual([])
    await profile.close()
  })

  test("without Web Locks have a store one after the other, also when one is killed", async () => {
    const profile = await harness.chromium()
    await profile.context.addInitScript(() =>
      Object.defineProperty(Navigator.prototype, "locks", { value: undefined }),
    )
    const open = () => profile.open<Page>(site)
    const first = await open()
    await first.call("start", { store: "alone" })
    await first.call("open", "x")
    for (const refused of [await open(), await open()]) {
      await expect(refused.call("start", { store: "alone" })).rejects.toThrow(
        "another tab has this store open",
      )
      await refused.page.close()
    }
    const session = await profile.context.newCDPSession(first.page)
    const crashed = first.page.waitForEvent("crash")
    // A page that is gone answers nothing.
    void session.send("Page.crash").catch(() => undefined)
    await crashed
    const next = await open()
    await expect
      .poll(() => next.call("start", { store: "alone" }).then(() => "started", String), { timeout: 20_000 })
      .toBe("started")
  })
})

describe("a browser that is killed", () => {
  test("in the middle of writes and compactions loses nothing it acknowledged", async () => {
    const report = await crashBrowsers(harness, site, { kills: 3 })
    expect(report.lost).toEqual([])
    expect(report.acknowledged).toBeGreaterThan(100)
  })
})

test("a browser that has no room left is told, and what was typed is stored once there is some", async () => {
  const profile = await harness.chromium()
  const tab = await profile.open<Page>(site)
  const session = await profile.context.newCDPSession(tab.page)
  const origin = new URL(tab.page.url()).origin
  await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 300_000 })
  await tab.call("start", { store: "full" })
  await tab.call("open", "x")
  const words = Array.from({ length: 100_000 }, (_, word) => `word${word * 7_919} `).join("")
  await tab.call("insert", "x", 0, words)
  await expect(tab.call("saved", "x")).rejects.toThrow(/could not be stored/)
  await session.send("Storage.overrideQuotaForOrigin", { origin })
  await tab.call("saved", "x")
  await tab.reload()
  await tab.call("start", { store: "full" })
  await tab.call("open", "x")
  expect((await tab.call("read", "x")) === words).toBe(true)
  await profile.close()
})

describe("an encrypted store in the browser", () => {
  test("opens with the profile's key after a reload, and with no other", async () => {
    const profile = await harness.chromium()
    const tab = await profile.open<Page>(site)
    await tab.call("start", { store: "sealed", encrypted: "profile-key" })
    await tab.call("open", "x")
    await tab.call("insert", "x", 0, "sealed text")
    await tab.call("saved", "x")
    await tab.reload()
    await tab.call("start", { store: "sealed", encrypted: "profile-key" })
    await tab.call("open", "x")
    expect(await tab.call("read", "x")).toBe("sealed text")
    await tab.reload()
    await expect(tab.call("start", { store: "sealed", encrypted: "other-key" })).rejects.toThrow(
      /does not open with this key/,
    )
    await expect(tab.call("start", { store: "sealed" })).rejects.toThrow(/is encrypted/)
    await profile.close()
  })
})
