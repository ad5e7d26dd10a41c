import { describeCuts, startChromium, startNode } from "../rooms/pair-scenarios.ts"

describeCuts({ name: "Node and Node", actors: [startNode, startNode] })
describeCuts({ name: "Chromium and Chromium", actors: [startChromium, startChromium] })
describeCuts({ name: "Chromium and Node", actors: [startChromium, startNode] })
