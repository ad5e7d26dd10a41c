import { expect, test } from "vitest"
import { createHarness } from "../browser/harness.ts"
import { findChromium } from "../browser/harness/find-browser.ts"
import { measureLargeRoom } from "../rooms/large-room.ts"

const pages = findChromium() === null ? 0 : 1
if (pages === 0) console.log("skipped: the page among the peers, for want of a Chromium")

test("20 Node processes and a page in one room: few links each, every write once, churn survived", async () => {
  await using harness = createHarness()
  const room = await measureLargeRoom(harness, { nodePeers: 20, pages, writes: 15, churn: 2 })
  console.log(JSON.stringify(room))
  expect(room.linksMax).toBeLessThanOrEqual(12)
  expect(room.linksMean).toBeGreaterThanOrEqual(4)
  // On a machine that is late with a push, peers also ask elsewhere: `npm run sim -- mesh` has the exact figure.
  if (room.receptions !== null) expect(room.receptions).toBeLessThanOrEqual(2)
  expect(room.convergedAfterMs).not.toBeNull()
}, 300_000)
