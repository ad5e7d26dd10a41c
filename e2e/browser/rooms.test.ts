import { describePair, startChromium, startNode } from "../rooms/pair-scenarios.ts"

describePair({ name: "Chromium and Chromium", actors: [startChromium, startChromium] })
describePair({ name: "Chromium and Node", actors: [startChromium, startNode] })
