import { createInvite } from "@dunlin/core"
import { afterEach, beforeAll, expect, test } from "vitest"
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
const closing: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const thing of closing.splice(0).reverse()) await thing.close()
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
  expect((await first.call("join", options)).tab).toBe("holder")
  await second.call("join", options)
  await third.call("join", options)
  await second.call("waitForPeers", 1, 10_000)
  expect(await second.call("facts")).toMatchObject({ tab: "follower", peers: [{ path: "tab" }] })
  await second.call("set", "things", "from-second", "1")
  await other.call("waitFor", "things", "from-second", 10_000)
  await other.call("set", "things", "from-other", "1")
  await third.call("waitFor", "things", "from-other", 10_000)
  expect((await other.call("facts")).peers).toHaveLength(1)

  // Written while the holder goes: nobody else may have it yet.
  await Promise.all([second.call("set", "things", "last-words", "1"), first.page.close()])
  await other.call("waitFor", "things", "last-words", 20_000)
  const tabs = [(await second.call("facts")).tab, (await third.call("facts")).tab]
  expect(tabs.toSorted()).toEqual(["follower", "holder"])
  await other.call("set", "things", "afterwards", "1")
  for (const tab of [second, third]) await tab.call("waitFor", "things", "afterwards", 20_000)
})
