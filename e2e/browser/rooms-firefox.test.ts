import { describePair, startChromium, startFirefox, startNode } from "../rooms/pair-scenarios.ts"
import { findChromium, findFirefox } from "./harness/find-browser.ts"

const noFirefox = findFirefox() === null ? "no Firefox is installed" : null
const noChromium = findChromium() === null ? "no Chromium is installed" : null

describePair({ name: "Firefox and Node", actors: [startFirefox, startNode], skip: noFirefox })
describePair({
  name: "Firefox and Chromium",
  actors: [startFirefox, startChromium],
  skip: noFirefox ?? noChromium,
})
