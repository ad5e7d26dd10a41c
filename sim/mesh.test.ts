import { expect, test } from "vitest"
import { runMesh } from "./mesh.ts"

test("a room of 30 with 12 links at most: everyone has every write once, and churn leaves nobody apart", async () => {
  const mesh = await runMesh({ seed: 1, peers: 30, maxLinks: 12, writes: 15, churn: 10 })
  expect(mesh.linksMax).toBeLessThanOrEqual(12)
  expect(mesh.linksMean).toBeGreaterThan(4)
  expect(mesh.receptions).toBeGreaterThanOrEqual(1)
  // Without PRUNE it is 1.33; a room may need at most 1.3.
  expect(mesh.receptions).toBeLessThanOrEqual(1.1)
  expect(mesh.hops.max).toBeLessThanOrEqual(12)
  expect(mesh.presenceMs).toBeGreaterThan(0)
  expect(mesh.convergedAfterMs).toBeLessThan(60_000)
})

test("with few links the room is still in one piece", async () => {
  const mesh = await runMesh({ seed: 2, peers: 20, maxLinks: 5, writes: 5, churn: 5 })
  expect(mesh.linksMax).toBeLessThanOrEqual(5)
  expect(mesh.receptions).toBeLessThanOrEqual(1.3)
})

test.each([
  { peers: 40, readers: 35 },
  { peers: 20, readers: 15 },
])("$readers readers of $peers part nobody: all have every write, and after churn, too", async (room) => {
  const mesh = await runMesh({ seed: 3, ...room, maxLinks: 12, writes: 10, churn: 10 })
  expect(mesh.linksMax).toBeLessThanOrEqual(12)
  expect(mesh.receptions).toBeGreaterThanOrEqual(1)
  expect(mesh.receptions).toBeLessThanOrEqual(1.3)
  expect(mesh.convergedAfterMs).toBeLessThan(60_000)
})
