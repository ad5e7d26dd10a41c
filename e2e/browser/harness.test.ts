import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { createHarness } from "./harness.ts"
import type { Harness } from "./harness.ts"
import { spawnPeer } from "./harness/child-peer.ts"
import type { TestSite } from "./harness/test-site.ts"

type ProbePage = typeof import("./harness/probe-page.ts")
type ProbePeer = typeof import("./harness/probe-peer.ts")

let harness: Harness
let site: TestSite
beforeAll(async () => {
  harness = createHarness()
  site = await harness.site(new URL("./harness/probe-page.ts", import.meta.url))
})
afterAll(() => harness.close())

test("a Chromium page runs the module it was made of, in a secure context, with WebRTC", async () => {
  const tab = await (await harness.chromium()).open<ProbePage>(site)
  expect(await tab.call("add", 2, 3)).toBe(5)
  expect(await tab.call("facts")).toEqual({ secure: true, origin: new URL(site.url).origin })
  expect(await tab.call("loopback")).toBe("through")
})

test("an error in the page carries its message and what the page printed", async () => {
  const tab = await (await harness.chromium()).open<ProbePage>(site)
  await expect(tab.call("fail", "broken on purpose")).rejects.toThrow(/broken on purpose[^]*about to fail/)
})

test("profiles share nothing, a reload keeps what its profile stored", async () => {
  const ada = await (await harness.chromium()).open<ProbePage>(site)
  const bob = await (await harness.chromium()).open<ProbePage>(site)
  expect(await ada.call("remember", "ada")).toBeNull()
  expect(await bob.call("remember", "bob")).toBeNull()
  await ada.reload()
  expect(await ada.call("remember", "ada again")).toBe("ada")
})

test("a child peer answers calls with bytes and errors, and a killed one settles what waits for it", async () => {
  const peer = await harness.peer<ProbePeer>(new URL("./harness/probe-peer.ts", import.meta.url))
  expect(await peer.call("double", Uint8Array.of(1, 2))).toEqual(Uint8Array.of(1, 2, 1, 2))
  await expect(peer.call("refuse")).rejects.toThrow("not today")
  const waiting = expect(peer.call("never")).rejects.toThrow(/ended/)
  await peer.kill()
  await waiting
  await expect(peer.call("double", new Uint8Array())).rejects.toThrow(/ended/)
})

test("a call that is never answered ends with its name and what the child says of itself", async () => {
  const module = new URL("./harness/probe-peer.ts", import.meta.url)
  const peer = await spawnPeer<ProbePeer>(module, {}, { callMs: 500 })
  await expect(peer.call("never")).rejects.toThrow(/never\(\) within 0.5 s[^]*"mood":"waiting"/)
  expect(await peer.call("double", Uint8Array.of(3))).toEqual(Uint8Array.of(3, 3))
  await peer.close()
})

test("a child that stands still is noticed by its silence", async () => {
  const module = new URL("./harness/probe-peer.ts", import.meta.url)
  const peer = await spawnPeer<ProbePeer>(module, {}, { silentPings: 2 })
  await expect(peer.call("standStill")).rejects.toThrow(/stands still: it was asked for standStill\(\)/)
  await peer.kill()
})

test("a killed Chromium leaves its profile to the next", async () => {
  const profile = await mkdtemp(join(tmpdir(), "dunlin-probe-"))
  const first = await harness.chromium({ profile })
  await first.open<ProbePage>(site)
  await first.kill()
  expect(first.context.pages()).toEqual([])
  const second = await harness.chromium({ profile })
  const tab = await second.open<ProbePage>(site)
  expect(await tab.call("add", 1, 1)).toBe(2)
  await second.close()
  await rm(profile, { recursive: true, force: true, maxRetries: 5 })
})
