import { createInvite } from "@dunlin/core"
import { beforeAll, expect, test } from "vitest"
import { createHarness, type Harness } from "./harness.ts"

type RoomPage = typeof import("../rooms/room-page.ts")
type RoomPeer = typeof import("../rooms/room-peer.ts")

const pageEntry = new URL("../rooms/room-page.ts", import.meta.url)
const peerModule = new URL("../rooms/room-peer.ts", import.meta.url)

let harness: Harness
beforeAll(() => {
  harness = createHarness()
  return () => harness.close()
})
test("tabs of one profile share the connections of one of them, and another takes over without loss", async () => {
  const site = await harness.site(pageEntry)
  const host = await harness.host()
  const invite = createInvite()
  const ada = await harness.chromium()
  const [first, second, third] = [
    await ada.open<RoomPage>(site),
    await ada.open<RoomPage>(site),
    await ada.open<RoomPage>(site),
  ]
  const other = await harness.peer<RoomPeer>(peerModule)
  await other.call("join", { invite, webrtc: { signaling: host.url } })
  const options = { invite, webrtc: { signaling: host.url }, tabs: true }
  await first.call("join", options)
  await first.call("waitForTab", "holder", 20_000)
  await second.call("join", options)
  await third.call("join", options)
  await second.call("waitForPeers", 1, 20_000)
  expect(await second.call("facts")).toMatchObject({ tab: "follower", peers: [{ path: "tab" }] })
  await second.call("set", "things", "from-second", "1")
  await other.call("waitFor", "things", "from-second", 20_000)
  await other.call("set", "things", "from-other", "1")
  await third.call("waitFor", "things", "from-other", 20_000)
  expect((await other.call("facts")).peers).toHaveLength(1)

  // Written while the holder closes, so possibly nobody else has it yet.
  await Promise.all([second.call("set", "things", "last-words", "1"), first.page.close()])
  await other.call("waitFor", "things", "last-words", 20_000)
  await other.call("set", "things", "afterwards", "1")
  for (const tab of [second, third]) await tab.call("waitFor", "things", "afterwards", 20_000)
  const tabs = [(await second.call("facts")).tab, (await third.call("facts")).tab]
  expect(tabs.toSorted()).toEqual(["follower", "holder"])
})

test("a tab whose replica the holder has not opened reaches out by itself", async () => {
  const site = await harness.site(pageEntry)
  const host = await harness.host()
  const options = { invite: createInvite(), webrtc: { signaling: host.url }, tabs: true }
  const both = ["things", "drawings"]
  const ada = await harness.chromium()
  const [first, second] = [await ada.open<RoomPage>(site), await ada.open<RoomPage>(site)]
  const other = await harness.peer<RoomPeer>(peerModule)
  await other.call("join", { ...options, replicas: both })
  await other.call("set", "drawings", "d", "1")
  await first.call("join", options)
  await first.call("waitForTab", "holder", 20_000)
  await second.call("join", { ...options, replicas: both })
  await second.call("waitFor", "drawings", "d", 30_000)
  const { tab, peers } = await second.call("facts")
  expect(tab).toBe("follower")
  expect(peers.map(({ path }) => path).toSorted()).toEqual(["direct", "tab"])
})

test("who cannot reach other devices, such as a worker, leaves the connections to a tab that can", async () => {
  const site = await harness.site(pageEntry)
  const host = await harness.host()
  const options = { invite: createInvite(), webrtc: { signaling: host.url } }
  const ada = await harness.chromium()
  const [first, second, page] = [
    await ada.open<RoomPage>(site),
    await ada.open<RoomPage>(site),
    await ada.open<RoomPage>(site),
  ]
  const other = await harness.peer<RoomPeer>(peerModule)
  await other.call("join", options)
  await first.call("join", { ...options, tabs: "alone" })
  await first.call("waitForTab", "holder", 20_000)
  await second.call("join", { ...options, tabs: "alone" })
  await second.call("waitForPeers", 1, 20_000)
  await first.call("set", "things", "before", "1")
  await page.call("join", { ...options, tabs: true })
  await other.call("waitFor", "things", "before", 30_000)
  await other.call("set", "things", "from-other", "1")
  for (const tab of [first, second, page]) await tab.call("waitFor", "things", "from-other", 30_000)
  expect(await page.call("facts")).toMatchObject({ tab: "holder" })

  // Somebody takes over, and gives way to the next page.
  await page.close()
  await Promise.any([first, second].map((tab) => tab.call("waitForTab", "holder", 20_000)))
  const next = await ada.open<RoomPage>(site)
  await next.call("join", { ...options, tabs: true })
  await second.call("set", "things", "afterwards", "1")
  await other.call("waitFor", "things", "afterwards", 30_000)
})

test("when the holder's page crashes another tab takes over", async () => {
  const site = await harness.site(pageEntry)
  const host = await harness.host()
  const options = { invite: createInvite(), webrtc: { signaling: host.url }, tabs: true }
  // A single renderer for two pages of a site would crash both.
  const ada = await harness.chromium({
    args: ["--process-per-tab", "--disable-features=WebRtcHideLocalIpsWithMdns"],
  })
  const [first, second] = [await ada.open<RoomPage>(site), await ada.open<RoomPage>(site)]
  const other = await harness.peer<RoomPeer>(peerModule)
  await other.call("join", options)
  await first.call("join", options)
  await first.call("waitForTab", "holder", 20_000)
  await second.call("join", options)
  await second.call("waitForPeers", 1, 20_000)
  const session = await ada.context.newCDPSession(first.page)
  // The page dies while answering.
  void session.send("Page.crash").catch(() => undefined)
  await second.call("set", "things", "after-crash", "1")
  await other.call("waitFor", "things", "after-crash", 30_000)
  await second.call("waitForTab", "holder", 20_000)
})

test("tabs of one profile are one device: without another, none of them takes itself for synchronised", async () => {
  const site = await harness.site(pageEntry)
  const host = await harness.host()
  const options = { invite: createInvite(), webrtc: { signaling: host.url }, tabs: true, deviceKey: true }
  const ada = await harness.chromium()
  const [first, second] = [await ada.open<RoomPage>(site), await ada.open<RoomPage>(site)]
  await first.call("join", options)
  await first.call("waitForTab", "holder", 20_000)
  await second.call("join", options)
  await second.call("waitForPeers", 1, 20_000)
  await second.call("set", "things", "from-second", "1")
  await first.call("waitFor", "things", "from-second", 20_000)
  for (const tab of [first, second]) await expect(tab.call("synced", 3_000)).rejects.toThrow("timed out")
  const [holder, follower] = [await first.call("facts"), await second.call("facts")]
  expect(holder.problem).toContain("nobody else is in the room")
  expect([holder.device, follower.problem]).toEqual([follower.device, null])

  const other = await harness.peer<RoomPeer>(peerModule)
  await other.call("join", { ...options, tabs: false, deviceKey: false })
  for (const tab of [first, second]) await tab.call("synced", 20_000)
  expect(await other.call("get", "things", "from-second")).toBe("1")
})
