import type { Peer } from "@dunlin/core"
import { expect, test } from "vitest"
import { connectedPeople } from "./person.ts"

const peer: Peer = {
  session: "s",
  device: "d",
  name: null,
  path: "direct",
  role: "writer",
  stage: "live",
  rttMs: 3,
  pendingOut: 0,
  pendingIn: 0,
  refused: 0,
  lastSyncedAt: 1,
  replicas: new Map(),
}

test("somebody who has everything is synced; who cannot be brought a change is not", () => {
  const list: readonly Peer[] = [
    peer,
    { ...peer, pendingOut: 1 },
    { ...peer, refused: 2 },
    { ...peer, stage: "reconcile" },
  ]
  const facts = connectedPeople(list, new Map()).map((person) => person.facts)
  expect(facts.map(({ isSynced, pending, refused }) => [isSynced, pending, refused])).toEqual([
    [true, 0, 0],
    [false, 1, 0],
    [false, 0, 2],
    [false, 0, 0],
  ])
})
