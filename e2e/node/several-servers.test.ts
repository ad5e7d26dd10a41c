import { createInvite } from "@dunlin/core"
import { afterAll, beforeAll, expect, test } from "vitest"
import { createHarness, type Harness } from "../browser/harness.ts"
import type { ChildPeer } from "../browser/harness/child-peer.ts"

type Peer = typeof import("../rooms/room-peer.ts")

const peerModule = new URL("../rooms/room-peer.ts", import.meta.url)
const LIMIT_MS = 60_000
const GRACE_MS = 2_000

let harness: Harness
beforeAll(() => {
  harness = createHarness()
})
afterAll(() => harness.close())

test("peers meet over whichever server they have in common, once, and one server that dies is not noticed", async () => {
  const startHost = (): ReturnType<Harness["host"]> =>
    harness.host({ args: ["--grace-ms", String(GRACE_MS)] })
  const hosts = [await startHost(), await startHost(), await startHost()] as const
  const [first, second, third] = hosts.map(({ url }) => url) as [string, string, string]
  const invite = createInvite()
  const join = async (...signaling: string[]): Promise<ChildPeer<Peer>> => {
    const peer = await harness.peer<Peer>(peerModule)
    await peer.call("join", { invite, webrtc: { signaling } })
    return peer
  }
  // Each two of these peers have one server in common, and no server has all of them.
  const a = await join(first, second)
  const b = await join(second, third)
  const c = await join(third, first)
  for (const peer of [a, b, c]) await peer.call("waitForPeers", 2, LIMIT_MS)
  // This peer has two servers in common with the last, and still counts as one peer to it.
  const d = await join(third, first)
  for (const peer of [a, b, c, d]) await peer.call("waitForPeers", 3, LIMIT_MS)
  const links = (await Promise.all([a, b, c, d].map((peer) => peer.call("facts")))).map(
    ({ session, peers }) => ({
      session,
      others: peers.map((one) => one.session).toSorted(),
    }),
  )
  const sessions = links.map(({ session }) => session)
  for (const { session, others } of links)
    expect(others).toEqual(sessions.filter((other) => other !== session).toSorted())

  for (const peer of [a, b]) await peer.call("diagnostics")
  await hosts[1].kill()
  await a.call("set", "things", "after the death of a server", "seen")
  await b.call("waitFor", "things", "after the death of a server", LIMIT_MS)
  // Longer than the grace time, after which a living server would have announced that they are gone.
  await new Promise((resolve) => setTimeout(resolve, 3 * GRACE_MS))
  for (const peer of [a, b]) {
    const closed = (await peer.call("diagnostics")).filter((line) => line.includes('"link-closed"'))
    expect(closed).toEqual([])
  }

  // A newcomer that lists the dead server first still meets those it can reach, and gets what the others have.
  const e = await join(second, first)
  await e.call("waitFor", "things", "after the death of a server", LIMIT_MS)
  await e.call("waitForPeers", 3, LIMIT_MS)
  await b.call("set", "things", "from one without a server in common", "seen")
  await e.call("waitFor", "things", "from one without a server in common", LIMIT_MS)
})
