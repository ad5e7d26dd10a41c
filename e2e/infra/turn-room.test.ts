import type { Harness } from "../browser/harness.ts"
import { turnServerProblem } from "../browser/harness/turn-server.ts"
import {
  describePair,
  type PairScenario,
  startChromium,
  startNode,
  type Surroundings,
} from "../rooms/pair-scenarios.ts"

/** A coturn whose credentials the host issues, and members who use only relays. */
async function relayOnly(harness: Harness): Promise<Surroundings> {
  const turn = await harness.turnServer()
  return {
    hostEnv: { DUNLIN_TURN_URLS: turn.turnUrl, DUNLIN_TURN_SECRET: turn.secret },
    webrtc: { privacy: "relay" },
    path: "relayed",
  }
}

const pairs: readonly Pick<PairScenario, "name" | "actors">[] = [
  { name: "Node and Node through coturn", actors: [startNode, startNode] },
  { name: "Chromium and Chromium through coturn", actors: [startChromium, startChromium] },
  { name: "Chromium and Node through coturn", actors: [startChromium, startNode] },
]
for (const pair of pairs) describePair({ ...pair, skip: turnServerProblem(), surroundings: relayOnly })
