import type { PeerPlan, PlannedEvent, Scenario } from "./scenario.ts"

/** A world that failed once, made small, and kept: it must pass from then on. */
export interface Regression {
  /** The planted bug that makes it fail, or null if the fault was in the code and has been mended. */
  readonly bug: string | null
  /** How it failed. */
  readonly failure: string
  readonly scenario: Scenario
}

/** The values of fields that older worlds lack. */
const QUIET_PEER: Partial<PeerPlan> = { present: false }
const PLAIN_WRITE = { attachment: 0 }

export function writeRegression({ bug, failure, scenario }: Regression): string {
  return `${JSON.stringify({ bug, failure: failure.split("\n")[0], scenario }, null, 2)}\n`
}

/** Trusts the file, since it belongs to this repository. */
export function readRegression(text: string): Regression {
  const { scenario, ...kept } = JSON.parse(text) as Regression
  const peers = scenario.peers.map((peer) => ({ ...QUIET_PEER, ...peer }))
  const events = scenario.events.map((event): PlannedEvent =>
    event.type === "write" ? { ...PLAIN_WRITE, ...event } : event,
  )
  return { ...kept, scenario: { ...scenario, peers, events } }
}
