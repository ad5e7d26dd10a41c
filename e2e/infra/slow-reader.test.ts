import { createInvite } from "@dunlin/core"
import { afterAll, beforeAll, expect, test } from "vitest"
import { createHarness, type Harness } from "../browser/harness.ts"
import type { ChildPeer } from "../browser/harness/child-peer.ts"

type Peer = typeof import("../rooms/room-peer.ts")

const peerModule = new URL("../rooms/room-peer.ts", import.meta.url)
const MIB = 1024 * 1024
const ENTRY_BYTES = 32_768
const ENTRIES = (200 * MIB) / ENTRY_BYTES

let harness: Harness
beforeAll(() => {
  harness = createHarness()
})
afterAll(() => harness.close())

interface Trio {
  /** The sender's memory before the slow peer came. */
  readonly before: { readonly rss: number; readonly live: number }
  readonly sender: ChildPeer<Peer>
  readonly slow: ChildPeer<Peer>
  readonly third: ChildPeer<Peer>
}

async function gather(): Promise<Trio> {
  const host = await harness.host()
  const options = { invite: createInvite(), webrtc: { signaling: host.url }, replicas: ["large", "small"] }
  const [sender, slow, third] = await Promise.all([
    harness.peer<Peer>(peerModule, { nodeArgs: ["--expose-gc"] }),
    harness.peer<Peer>(peerModule),
    harness.peer<Peer>(peerModule),
  ])
  await sender.call("join", options)
  await sender.call("fill", "large", "blob-", ENTRIES, ENTRY_BYTES)
  await third.call("join", { ...options, replicas: ["small"] })
  await third.call("waitForPeers", 1, 20_000)
  const before = await sender.call("memory", "live")
  await slow.call("join", options)
  return { before, sender, slow, third }
}

interface Cost {
  /** Memory still referenced at the end. */
  readonly liveMiB: number
  /** The most memory that the process ever held from the system, including garbage. */
  readonly rssMiB: number
  readonly p95: number
}

/** Sends ticks of small changes to the third peer, and watches the sender meanwhile. */
async function observe({ before, sender, third }: Trio): Promise<Cost> {
  await third.call("watchTicks", "small")
  let { rss } = await sender.call("memory", "now")
  const ticking = sender.call("tick", "small", 200, 40)
  const isDone = ticking.then(() => true)
  const pause = (): Promise<false> => new Promise((resolve) => setTimeout(() => resolve(false), 200))
  while (!(await Promise.race([isDone, pause()]))) {
    rss = Math.max(rss, (await sender.call("memory", "now")).rss)
  }
  await third.call("waitFor", "small", "tick-199", 20_000)
  const { live } = await sender.call("memory", "live")
  const delays = [...(await third.call("ticks"))].toSorted((a, b) => a - b)
  return {
    liveMiB: (live - before.live) / MIB,
    rssMiB: (rss - before.rss) / MIB,
    p95: delays[Math.floor(delays.length * 0.95)] ?? Number.NaN,
  }
}

function expectLittle(name: string, { liveMiB, rssMiB, p95 }: Cost): void {
  console.log(
    `${name}: live +${liveMiB.toFixed(1)} MiB, RSS at most +${rssMiB.toFixed(1)} MiB, p95 ${p95} ms`,
  )
  expect(liveMiB).toBeLessThan(32)
  // Includes the garbage of 200 writes and of the system's own caches.
  expect(rssMiB).toBeLessThan(96)
  // Normally a few milliseconds, up to 100 on a shared machine; the limit allows for an overloaded one.
  expect(p95).toBeLessThanOrEqual(400)
}

test("a peer that takes nothing more costs the sender little, and a third peer nothing", async () => {
  const trio = await gather()
  await trio.slow.call("waitForPeers", 1, 20_000).catch(() => trio.slow.call("waitForPeers", 2, 20_000))
  await trio.slow.call("goDeaf")
  expectLittle("deaf", await observe(trio))
  expect(await trio.slow.call("size", "large")).toBeLessThan(ENTRIES / 2)
  for (const peer of [trio.sender, trio.slow, trio.third]) await peer.close()
})

test("a peer whose process stands still costs the sender little, and a third peer nothing", async () => {
  const trio = await gather()
  await trio.slow.call("waitFor", "large", "blob-1", 30_000)
  process.kill(trio.slow.pid, "SIGSTOP")
  expectLittle("stopped", await observe(trio))
  process.kill(trio.slow.pid, "SIGCONT")
  await trio.slow.call("waitFor", "large", `blob-${ENTRIES - 1}`, 90_000)
  for (const peer of [trio.sender, trio.slow, trio.third]) await peer.close()
})
