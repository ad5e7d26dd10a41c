import { createInvite } from "@dunlin/core"
import { afterAll, beforeAll, expect, test } from "vitest"
import { createHarness, type Harness } from "./harness.ts"

type TabsPage = typeof import("../rxdb/tabs-page.ts")

let harness: Harness
beforeAll(() => {
  harness = createHarness()
})
afterAll(() => harness.close())

test("what a tab stored as it died, and told no other tab of, reaches the peers of the tab that lives", async () => {
  const site = await harness.site(new URL("../rxdb/tabs-page.ts", import.meta.url))
  const host = await harness.host()
  const options = { invite: createInvite(), signaling: host.url }
  const [ada, bob] = [await harness.chromium(), await harness.chromium()]
  const holder = await ada.open<TabsPage>(site)
  await holder.call("start", options)
  const dying = await ada.open<TabsPage>(site)
  await dying.call("start", options)
  const far = await bob.open<TabsPage>(site)
  await far.call("start", options)
  const reaches = (id: string) =>
    expect.poll(() => far.call("ids"), { timeout: 30_000, interval: 200 }).toContain(id)

  await dying.call("insert", "told")
  await reaches("told")
  await dying.call("fallSilent")
  await dying.call("insert", "untold")
  await dying.page.close()
  await reaches("untold")
  await holder.call("insert", "afterwards")
  await reaches("afterwards")
})
