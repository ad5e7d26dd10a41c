import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Clock } from "@dunlin/core"
import { lmdbStore } from "@dunlin/loro/lmdb"
import { BUILT } from "../built.ts"
import { createHarness } from "../../e2e/browser/harness.ts"
import { attachByHand } from "../../packages/loro/test/hand-driven.ts"
import { report } from "./report.ts"

type Peer = typeof import("./store-peer.ts")
type Page = typeof import("./store-page.ts")

/** A store of many documents: how soon a replica is ready, and how much memory it takes. */
export async function measureStore(count: number): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), "dunlin-bench-"))
  try {
    await using harness = createHarness({ callMs: 600_000, silentPings: 600 })
    const module = new URL("./store-peer.ts", import.meta.url)
    const writer = await harness.peer<Peer>(module, BUILT)
    await writer.call("fill", path, count)
    await writer.close()
    const times: number[] = []
    let memory = 0
    for (let round = 0; round < 5; round++) {
      const reader = await harness.peer<Peer>(module, { ...BUILT, nodeArgs: ["--expose-gc"] })
      const result = await reader.call("ready", path)
      if (result.count !== count) throw new Error(`${result.count} of ${count} documents`)
      times.push(result.ms)
      memory = Math.max(memory, result.memoryMb)
      await reader.close()
    }
    const profile = await harness.chromium()
    const site = await harness.site(new URL("./store-page.ts", import.meta.url))
    const tab = await profile.open<Page>(site)
    await tab.call("fill", count)
    await tab.reload()
    const browser = await tab.call("ready")
    const worst = Math.max(...times)
    report({
      work: `${count.toLocaleString("en")} documents in the store, room opened`,
      values: {
        "LMDB, ready after ms (worst of 5)": worst,
        "LMDB, memory of the process grown by MB": memory,
        "IndexedDB in Chromium, ready after ms": browser.ms,
        "IndexedDB in Chromium, script heap grown by MB": browser.memoryMb,
      },
      target: "≤ 1 s, ≤ 100 MB",
      met: worst <= 1_000 && memory <= 100 && browser.ms <= 1_000,
    })
  } finally {
    await rm(path, { recursive: true, force: true })
  }
}

/** An hour of typing at five keys a second, on a clock that runs as fast as the work allows. */
export async function measureEditingHour(keys: number): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), "dunlin-bench-"))
  try {
    const clock = createFastClock()
    const store = lmdbStore({ path, durability: "relaxed" })
    const replica = await attachByHand({ name: "hour", store, clock })
    const document = await replica.docs.open("page")
    const text = document.doc.getText("body")
    let written = 0
    let at = 0
    for (let key = 0; key < keys; key++) {
      // Words, line ends, corrections, and a jump to another place now and then.
      if (key % 97 === 96) at = Math.floor(text.length * ((key % 13) / 13))
      if (key % 23 === 22 && at > 0) text.delete(--at, 1)
      else
        text.insert(at++, key % 71 === 70 ? "\n" : key % 6 === 5 ? " " : ("abcdefghijklm"[key % 13] ?? "a"))
      document.doc.commit()
      await document.saved()
      written += replica.changes.splice(0).reduce((sum, change) => sum + (change.delta?.length ?? 0), 0)
      clock.advance(200)
    }
    await replica.attached.detach()

    const opened = await store.open()
    const { snapshot, log } = await opened.load("page")
    await opened.close()
    const stored = (snapshot?.length ?? 0) + log.reduce((sum, entry) => sum + entry.bytes.length, 0)
    const again = await attachByHand({ name: "hour", store })
    const begun = performance.now()
    const reloaded = await again.docs.open("page")
    const characters = reloaded.doc.getText("body").toString().length
    const reloadMs = performance.now() - begun
    const fresh = (await again.docs.export("page")).length
    await again.attached.detach()
    report({
      work: `${(keys / 18_000).toFixed(1)} hours of typing at 5 keys a second, every key its own commit`,
      values: {
        characters,
        "updates made, bytes": written,
        "stored, bytes": stored,
        "log entries left": log.length,
        "a snapshot, bytes": fresh,
        "stored : snapshot": stored / fresh,
        "reload ms": reloadMs,
      },
      target: "store ≤ 3 × snapshot, reload ≤ 100 ms",
      met: stored <= 3 * fresh && reloadMs <= 100,
    })
  } finally {
    await rm(path, { recursive: true, force: true })
  }
}

interface FastClock extends Clock {
  /** Lets `ms` pass, and runs the timers that are due in that time. */
  advance(ms: number): void
}

function createFastClock(): FastClock {
  let now = 1_767_225_600_000
  let timers: { readonly at: number; readonly wake: () => void }[] = []
  return {
    now: () => now,
    monotonic: () => now,
    after(delayMs, wake) {
      const timer = { at: now + delayMs, wake }
      timers.push(timer)
      return () => void (timers = timers.filter((other) => other !== timer))
    },
    advance(ms) {
      const end = now + ms
      for (;;) {
        const next = timers.filter((timer) => timer.at <= end).toSorted((a, b) => a.at - b.at)[0]
        if (next === undefined) break
        timers = timers.filter((timer) => timer !== next)
        now = Math.max(now, next.at)
        next.wake()
      }
      now = end
    },
  }
}
