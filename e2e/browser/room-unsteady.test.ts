import { setTimeout as pause } from "node:timers/promises"
import { createInvite } from "@dunlin/core"
import { beforeAll, expect, test } from "vitest"
import { createHarness, type Harness } from "./harness.ts"

type RoomPage = typeof import("../rooms/room-page.ts")
type RoomPeer = typeof import("../rooms/counted-peer.ts")

let harness: Harness
beforeAll(() => {
  harness = createHarness()
  return () => harness.close()
})

/** A page that will have a hard time, and a Node process beside it whose connections are counted. */
async function meet() {
  const site = await harness.site(new URL("../rooms/room-page.ts", import.meta.url))
  const host = await harness.host()
  const invite = createInvite()
  const join = { invite, webrtc: { signaling: host.url } }
  const module = new URL("../rooms/counted-peer.ts", import.meta.url)
  const node = await harness.peer<RoomPeer>(module, { nodeArgs: ["--expose-gc"] })
  await node.call("join", invite, host.url)
  const chromium = await harness.chromium()
  const page = await chromium.open<RoomPage>(site)
  const devtools = await chromium.context.newCDPSession(page.page)
  await page.call("join", join)
  await page.call("waitForPeers", 1, 60_000)
  return { join, node, page, devtools }
}

type Meeting = Awaited<ReturnType<typeof meet>>

/** Each has the other once, over one connection, and what one writes arrives. */
async function expectSteady({ node, page }: Meeting, key: string): Promise<void> {
  await page.call("waitForPeers", 1, 60_000)
  await node.call("write", key)
  await page.call("waitFor", "things", key, 60_000)
  const { session, problem } = await page.call("facts")
  expect(problem).toBeNull()
  await expect.poll(async () => (await node.call("facts")).connections.length, { timeout: 60_000 }).toBe(1)
  expect((await node.call("facts")).peers.map((peer) => peer.session)).toEqual([session])
}

test("sixty reloads leave one connection, and no more memory than the first few", async () => {
  const met = await meet()
  const sizes: number[] = []
  for (let n = 0; n < 60; n++) {
    await met.page.reload()
    await met.page.call("join", met.join)
    if (n % 3 !== 0) await met.page.call("waitForPeers", 1, 60_000)
    if (n % 10 === 9) {
      await expectSteady(met, `after reload ${n}`)
      sizes.push((await met.node.call("facts")).heapBytes)
    }
  }
  expect((sizes.at(-1) ?? 0) - (sizes[0] ?? 0), sizes.join()).toBeLessThan(4_000_000)
}, 180_000)

test("a network that comes and goes several times a second is no reason to lose anything", async () => {
  const met = await meet()
  const to = async (offline: boolean): Promise<unknown> =>
    met.devtools.send("Network.emulateNetworkConditions", {
      offline,
      latency: 0,
      downloadThroughput: -1,
      uploadThroughput: -1,
    })
  await met.devtools.send("Network.enable")
  for (let n = 0; n < 60; n++) {
    await to(n % 2 === 0)
    await pause(100)
    await met.page.call("set", "things", `flap ${n}`, "x")
  }
  await to(false)
  await expectSteady(met, "after flapping")
  await expect
    .poll(async () => (await met.node.call("keys")).filter((key) => key.startsWith("flap")).length, {
      timeout: 60_000,
    })
    .toBe(60)
}, 180_000)

test("a page that was frozen for a minute is back when it thaws", async () => {
  const met = await meet()
  await met.devtools.send("Page.setWebLifecycleState", { state: "frozen" })
  await met.node.call("write", "while it was frozen")
  await pause(60_000)
  // Its pipes are the browser's and stay up: only that it says nothing shows that it is not there.
  expect((await met.node.call("facts")).peers).toEqual([])
  await met.devtools.send("Page.setWebLifecycleState", { state: "active" })
  await met.page.call("waitFor", "things", "while it was frozen", 60_000)
  await expectSteady(met, "after the thaw")
}, 180_000)
