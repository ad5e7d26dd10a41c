import { createInvite } from "@dunlin/core"
import { afterAll, beforeAll, expect, test } from "vitest"
import type { RoomDriver } from "../rooms/room-driver.ts"
import { createHarness, type Harness } from "./harness.ts"
import type { ChromiumProfile } from "./harness/chromium.ts"
import type { RemoteModule } from "./harness/remote-module.ts"

type RoomPage = typeof import("../rooms/room-page.ts")
type RoomPeer = typeof import("../rooms/room-peer.ts")

const pageEntry = new URL("../rooms/room-page.ts", import.meta.url)
const peerModule = new URL("../rooms/room-peer.ts", import.meta.url)

let harness: Harness
const noticed: Record<string, number> = {}

beforeAll(() => {
  harness = createHarness()
  return () => harness.close()
})
afterAll(() => {
  console.log("milliseconds until the others noticed:", noticed)
})

/** A page that will go, and two that must notice: a page in another browser, and a Node process. */
async function meet() {
  const site = await harness.site(pageEntry)
  const host = await harness.host()
  const options = { invite: createInvite(), webrtc: { signaling: host.url } }
  const [leaving, staying] = [await harness.chromium(), await harness.chromium()]
  const goner = await leaving.open<RoomPage>(site)
  const page = await staying.open<RoomPage>(site)
  const node = await harness.peer<RoomPeer>(peerModule)
  const everyone: readonly RemoteModule<RoomDriver>[] = [goner, page, node]
  for (const peer of everyone) await peer.call("join", options)
  for (const peer of everyone) await peer.call("waitForPeers", 2, 30_000)
  await goner.call("setPresence", { name: "Ada" })
  for (const peer of everyone.slice(1)) await peer.call("waitForOthers", 1, 20_000)
  return { leaving, goner, observers: { page, node } }
}

async function go(
  how: string,
  limitsMs: { readonly page: number; readonly node: number },
  leave: (goner: {
    readonly profile: ChromiumProfile
    readonly close: () => Promise<void>
  }) => Promise<unknown>,
): Promise<void> {
  const { leaving, goner, observers } = await meet()
  const left = leave({ profile: leaving, close: () => goner.page.close() })
  for (const [name, times] of Object.entries({
    page: observers.page.call("waitForOthers", 0, limitsMs.page),
    node: observers.node.call("waitForOthers", 0, limitsMs.node),
  })) {
    noticed[`${how}, by a ${name}`] = Math.round(await times)
  }
  await left
  expect((await observers.page.call("facts")).peers).toHaveLength(1)
  expect((await observers.node.call("facts")).peers).toHaveLength(1)
}

test("a page that is closed is gone for the others, too", () =>
  go("page closed", { page: 8_000, node: 8_000 }, ({ close }) => close()))

test("a browser that dies is missed soon", () =>
  // Node's WebRTC reports nothing until it gives its connection up.
  go("browser killed", { page: 20_000, node: 25_000 }, ({ profile }) => profile.kill()))
