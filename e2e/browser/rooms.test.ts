import { describePair, startChromium, startFirefox, startNode } from "../rooms/pair-scenarios.ts"
import { findFirefox } from "./harness/find-browser.ts"

const noFirefox = findFirefox() === null ? "no Firefox is installed" : null

describePair({ name: "Chromium and Chromium", actors: [startChromium, startChromium] })
describePair({ name: "Chromium and Node", actors: [startChromium, startNode] })
describePair({ name: "Firefox and Chromium", actors: [startFirefox, startChromium], skip: noFirefox })
