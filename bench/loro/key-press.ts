import { setTimeout as pause } from "node:timers/promises"
import { createInvite } from "@dunlin/core"
import { createHarness } from "../../e2e/browser/harness.ts"
import { spawnChild } from "../host/child-calls.ts"
import { median, quantile } from "../quantile.ts"
import { report } from "./report.ts"

type Ours = typeof import("./editor-page.ts")
type Theirs = typeof import("./y-editor-page.ts")
type Marks = Record<string, readonly number[]>

/** Somebody typing fast: eight keys a second, not quite evenly. */
const HUMAN_PACE_MS = 120
const CHARACTERS = 20_000

/** Two Chromium profiles, each with a real editor: from a key in one to the letter in the other. */
export async function measureKeyPress(keys: number): Promise<void> {
  await using harness = createHarness()
  const theirServer = await spawnChild("server-child.ts", ["y-webrtc", "{}"])
  try {
    const [left, right] = [await harness.chromium(), await harness.chromium()]
    const host = await harness.host()
    const invite = createInvite()
    const ourSite = await harness.site(new URL("./editor-page.ts", import.meta.url))
    const theirSite = await harness.site(new URL("./y-editor-page.ts", import.meta.url))
    const ours = [await left.open<Ours>(ourSite), await right.open<Ours>(ourSite)] as const
    for (const tab of ours) await tab.call("start", invite, host.url)
    for (const tab of ours) await tab.call("waitForPeer")
    const answer = await ours[1].call("rawAnswer", await ours[0].call("rawOffer"))
    await ours[0].call("rawAccept", answer)
    await Promise.all(ours.map((tab) => tab.call("rawOpen")))
    const theirUrl = await theirServer.call<string>("url")
    const theirs = [await left.open<Theirs>(theirSite), await right.open<Theirs>(theirSite)] as const
    for (const tab of theirs) await tab.call("start", "bench", theirUrl)
    for (const tab of theirs) await tab.call("waitForPeer")

    const prepare = async (
      typist: Typist,
      fill: () => Promise<void>,
      followed: () => Promise<number>,
    ): Promise<void> => {
      await fill()
      while ((await followed()) < CHARACTERS) await pause(20)
      await typist.page.bringToFront()
      await typist.page.click(".cm-content")
      await type(typist, 5)
    }
    const prepareOurs = (): Promise<void> =>
      prepare(
        ours[0],
        () => ours[0].call("fill", CHARACTERS),
        () => ours[1].call("length"),
      )
    const prepareTheirs = (): Promise<void> =>
      prepare(
        theirs[0],
        () => theirs[0].call("fill", CHARACTERS),
        () => theirs[1].call("length"),
      )
    const ourTimes: Marks[] = []
    const theirTimes: Marks[] = []
    const besideTimes: Marks[] = []
    let bytes = 0
    let burstBytes = 0
    for (const round of [0, 1, 2]) {
      if (round === 0) await prepareOurs()
      await focus(ours)
      await pause(1_500)
      await Promise.all(ours.map((tab) => tab.call("take")))
      const before = await ours[0].call("bytes")
      await type(ours[0], keys)
      await pause(500)
      bytes += (await ours[0].call("bytes")) - before
      for (let message = 0; message < keys; message++) {
        await ours[0].call("rawSend", 130)
        await pause(20)
      }
      ourTimes.push({ ...(await ours[0].call("take")), ...pickHeard(await ours[1].call("take")) })
      await ours[0].call("accompany", true)
      await type(ours[0], Math.ceil(keys / 2))
      await ours[0].call("accompany", false)
      await pause(300)
      besideTimes.push({ ...(await ours[0].call("take")), ...pickHeard(await ours[1].call("take")) })
      const beforeBurst = await ours[0].call("bytes")
      for (let burst = 0; burst < 10; burst++) {
        await ours[0].call("insert", "a burst of twenty-five ch")
        await pause(60)
      }
      await pause(300)
      burstBytes += (await ours[0].call("bytes")) - beforeBurst

      if (round === 0) await prepareTheirs()
      await focus(theirs)
      await pause(500)
      await Promise.all(theirs.map((tab) => tab.call("take")))
      await type(theirs[0], keys)
      await pause(300)
      theirTimes.push({ ...(await theirs[0].call("take")), ...pickHeard(await theirs[1].call("take")) })
    }
    const dom = ourTimes.flatMap((marks) => intervals(marks["key"], marks["dom"]))
    const theirDom = theirTimes.flatMap((marks) => intervals(marks["key"], marks["dom"]))
    const path = ourTimes.flatMap((marks) => intervals(marks["emitted"], marks["imported"]))
    const made = ourTimes.flatMap((marks) => intervals(marks["key"], marks["emitted"]))
    const shown = ourTimes.flatMap((marks) => intervals(marks["imported"], marks["dom"]))
    const inside = ourTimes.flatMap((marks) => intervals(marks["heard"], marks["imported"]))
    const raw = ourTimes.flatMap((marks) => intervals(marks["rawSent"], marks["rawHeard"]))
    const beside = besideTimes.flatMap((marks) => intervals(marks["rawSent"], marks["rawHeard"]))
    const ratio = median(path) / median(raw)
    report({
      work: `key press in one Chromium → DOM of another, ${CHARACTERS} characters, human pace`,
      values: {
        "Dunlin p50 ms": median(dom),
        "Dunlin p95 ms": quantile(dom, 0.95) ?? Number.NaN,
        "y-webrtc p50 ms": median(theirDom),
        "y-webrtc p95 ms": quantile(theirDom, 0.95) ?? Number.NaN,
        "ratio of the p50s": median(dom) / median(theirDom),
        "key → update emitted, p50 ms": median(made),
        "import begun → DOM, p50 ms": median(shown),
        keys: dom.length,
      },
      target: "p50 ≤ 10 ms",
      met: median(dom) <= 10,
    })
    report({
      work: "update emitted → import begun, beside a raw message on a bare channel",
      values: {
        "Dunlin p50 ms": median(path),
        "raw one way p50 ms": median(raw),
        ratio,
        "heard in the page → import begun, p50 ms": median(inside),
        "raw one way while a key is drawn, p50 ms": median(beside),
        "ratio to that": median(path) / median(beside),
      },
      target: "≤ 3 × raw",
      met: ratio <= 3,
    })
    const perKey = bytes / 3 / keys
    const perCharacter = burstBytes / 3 / 250
    report({
      work: "bytes on the wire, both ways, cursors included",
      values: { "a key press": perKey, "a character in bursts of 25": perCharacter },
      target: "≤ 200 and ≤ 20",
      met: perKey <= 200 && perCharacter <= 20,
    })
  } finally {
    await theirServer.stop()
  }
}

interface Typist {
  readonly page: {
    readonly keyboard: { press(key: string): Promise<void> }
    bringToFront(): Promise<void>
    click(selector: string): Promise<void>
  }
}

/** Browsers throttle pages that nobody sees, so each profile shows the pair's page. */
async function focus(pair: readonly Typist[]): Promise<void> {
  for (const tab of pair) await tab.page.bringToFront()
}

async function type(tab: Typist, keys: number): Promise<void> {
  for (let key = 0; key < keys; key++) {
    await tab.page.keyboard.press("abcdefghij"[key % 10] ?? "a")
    await pause(HUMAN_PACE_MS * (0.7 + ((key * 37) % 60) / 100))
  }
}

function pickHeard(marks: Marks): Marks {
  const names = ["dom", "heard", "imported", "rawHeard"]
  return Object.fromEntries(names.map((name) => [name, marks[name] ?? []]))
}

/** From each start to the first end after it, if that comes before the next start. */
function intervals(from: readonly number[] = [], to: readonly number[] = []): readonly number[] {
  return from.flatMap((start, index) => {
    const end = to.find((at) => at >= start - 0.2)
    const next = from[index + 1] ?? Number.POSITIVE_INFINITY
    return end === undefined || end > next ? [] : [Math.max(0, end - start)]
  })
}
