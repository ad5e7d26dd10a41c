import { expect, test } from "vitest"
import { createHarness } from "./harness.ts"
import { findFirefox } from "./harness/find-browser.ts"

type ProbePage = typeof import("./harness/probe-page.ts")

const noFirefox = findFirefox() === null
if (noFirefox) console.log("skipped: no Firefox is installed")

test.skipIf(noFirefox)("a Firefox page runs the module it was made of, with WebRTC", async () => {
  await using harness = createHarness()
  const site = await harness.site(new URL("./harness/probe-page.ts", import.meta.url))
  const tab = await (await harness.firefox()).open<ProbePage>(site)
  expect(await tab.call("add", 2, 3)).toBe(5)
  expect(await tab.call("loopback")).toBe("through")
  await expect(tab.call("fail", "broken on purpose")).rejects.toThrow("broken on purpose")
})
