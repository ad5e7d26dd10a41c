// Puts load on a server, from a process of its own.
import { serveCalls } from "./child-calls.ts"
import { startChurn, stopChurn } from "./churn.ts"
import { contain } from "./containment.ts"
import { killWith, malformedStorm } from "./malformed-storm.ts"
import { measureForwards, measureJoins, openIdle, releaseIdle } from "./load-driver.ts"
import { startTalk, stopTalk } from "./honest-talk.ts"

serveCalls({
  joins: measureJoins,
  openIdle,
  releaseIdle,
  forwards: measureForwards,
  storm: malformedStorm,
  killWith,
  startTalk,
  stopTalk,
  contain,
  startChurn,
  stopChurn,
})
