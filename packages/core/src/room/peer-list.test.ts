import { expect, test } from "vitest"
import { createState } from "../ports/state.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"
import type { LinkedPeer } from "./link-table.ts"
import { createPeerList } from "./peer-list.ts"
import type { PresenceEntry } from "./room.ts"
import type { LinkStatus } from "./sync-engine-api.ts"

const LINKED: LinkedPeer = { session: "a", device: "d", role: "writer", path: "direct" }
const statusOf = (stage: LinkStatus["stage"], rttMs: number): ReadonlyMap<string, LinkStatus> =>
  new Map([["a", { session: "a", stage, rttMs, refusesEntries: false, replicas: new Map() }]])

test("a peer's stage is told at once, its figures in their time", async () => {
  const time = createSimulatedTime()
  const linked = createState<ReadonlyMap<string, LinkedPeer>>(new Map())
  const links = createState<ReadonlyMap<string, LinkStatus>>(new Map())
  const presence = createState<ReadonlyMap<string, PresenceEntry>>(new Map())
  const list = createPeerList({ clock: time.clock(), linked, links, presence })
  linked.set(new Map([["a", LINKED]]))
  expect(list.peers.get()).toMatchObject([{ session: "a", stage: "reconcile", rttMs: null }])
  links.set(statusOf("live", 5))
  expect(list.peers.get()).toMatchObject([{ stage: "live", rttMs: 5 }])
  let changes = 0
  list.peers.subscribe(() => (changes += 1))
  for (let rttMs = 6; rttMs < 20; rttMs++) links.set(statusOf("live", rttMs))
  expect(changes).toBe(0)
  await time.runFor(100)
  expect(list.peers.get()).toMatchObject([{ rttMs: 19 }])
  expect(changes).toBe(1)
  list.close()
  expect(time.pending).toBe(0)
})
