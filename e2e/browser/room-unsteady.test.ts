import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { createInvite } from "@dunlin/core"
import { beforeAll, expect, onTestFinished, test } from "vitest"
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
  const options = { invite, webrtc: { signaling: host.url } }
  const module = new URL("../rooms/counted-peer.ts", import.meta.url)
  const node = await harness.peer<RoomPeer>(module, { nodeArgs: ["--expose-gc"] })
  await node.call("join", invite, host.url)
  const profile = await mkdtemp(join(tmpdir(), "dunlin-unsteady-"))
  const chromium = await harness.chromium({ profile })
  onTestFinished(async () => {
    await chromium.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  })
  const page = await chromium.open<RoomPage>(site)
  const devtools = await chromium.context.newCDPSession(page.page)
  await page.call("join", options)
  await page.call("waitForPeers", 1, 60_000)
  return { options, profile, node, page, devtools }
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
    await met.page.call("join", met.options)
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

test("a page that stood still for a minute is given up, and is back when it goes on", async () => {
  const met = await meet()
  // Chromium freezes no page that has connections, whatever its developer tools are told: so its process is stopped.
  const renderers = await renderersOf(met.profile)
  expect(renderers).not.toEqual([])
  for (const pid of renderers) process.kill(pid, "SIGSTOP")
  try {
    await met.node.call("write", "while it stood still")
    await pause(60_000)
    const { peers, connections } = await met.node.call("facts")
    expect(peers).toEqual([])
    // The browser answers the server for the page, so the page goes on being called, by one call at a time.
    expect(connections.length).toBeLessThanOrEqual(1)
    expect(connections).not.toContain("connected")
  } finally {
    for (const pid of renderers) process.kill(pid, "SIGCONT")
  }
  await met.page.call("waitFor", "things", "while it stood still", 60_000)
  await expectSteady(met, "after it went on")
}, 180_000)

/** The processes in which the pages of the browser with this profile run. */
async function renderersOf(profile: string): Promise<readonly number[]> {
  const children = new Map<number, number[]>()
  const commands = new Map<number, string>()
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue
    const pid = Number(name)
    const [stat, command] = await Promise.all(
      ["stat", "cmdline"].map((file) => readFile(`/proc/${name}/${file}`, "utf8").catch(() => "")),
    )
    const parent = Number(/\) \S (\d+)/.exec(stat ?? "")?.[1])
    children.set(parent, [...(children.get(parent) ?? []), pid])
    commands.set(pid, command ?? "")
  }
  const below = (pid: number): number[] =>
    (children.get(pid) ?? []).flatMap((child) => [child, ...below(child)])
  const browsers = [...commands].filter(([, command]) => command.includes(profile)).map(([pid]) => pid)
  const found = browsers.flatMap(below).filter((pid) => commands.get(pid)?.includes("--type=renderer"))
  return [...new Set(found)]
}
