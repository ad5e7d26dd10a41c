import type { PlannedAction, PlannedEvent, Scenario } from "./scenario.ts"

export interface Shrunk {
  readonly scenario: Scenario
  /** How the smallest world fails; null when the given one does not. */
  readonly failure: string | null
}

/** Leaves out events, peers and properties as long as the world still fails, in whatever way. */
export async function shrink(
  scenario: Scenario,
  failureOf: (candidate: Scenario) => Promise<string | null>,
  report: (line: string) => void,
): Promise<Shrunk> {
  let smallest = scenario
  let failure = await failureOf(scenario)
  if (failure === null) return { scenario, failure }

  const accept = async (candidate: Scenario): Promise<boolean> => {
    const found = await failureOf(candidate)
    if (found === null) return false
    smallest = candidate
    failure = found
    report(
      `${smallest.peers.length} peers, ${smallest.edges.length} edges, ${smallest.events.length} events: ${found}`,
    )
    return true
  }

  /** Accepts one at a time: each candidate is the smallest world with one thing less, so two would undo each other. */
  const acceptAny = async (candidates: Iterable<Scenario>): Promise<boolean> => {
    for (const candidate of candidates) if (await accept(candidate)) return true
    return false
  }

  let improved = true
  while (improved) {
    improved = false
    for (let size = Math.ceil(smallest.events.length / 2); size >= 1; size = Math.floor(size / 2)) {
      for (let at = smallest.events.length - size; at >= 0; at -= size) {
        const events = smallest.events.filter((_, index) => index < at || index >= at + size)
        if (await accept({ ...smallest, events })) improved = true
      }
    }
    for (let peer = smallest.peers.length - 1; peer >= 0 && smallest.peers.length > 2; peer--) {
      if (await accept(withoutPeer(smallest, peer))) improved = true
    }
    for (let edge = smallest.edges.length - 1; edge >= 0; edge--) {
      if (await accept(withoutEdge(smallest, edge))) improved = true
    }
    while (await acceptAny(simpler(smallest))) improved = true
  }
  return { scenario: smallest, failure }
}

function withoutPeer(scenario: Scenario, gone: number): Scenario {
  const renumber = (peer: number): number => (peer > gone ? peer - 1 : peer)
  let smaller = scenario
  for (let edge = scenario.edges.length - 1; edge >= 0; edge--) {
    if ((scenario.edges[edge] as readonly number[]).includes(gone)) smaller = withoutEdge(smaller, edge)
  }
  return {
    ...smaller,
    peers: scenario.peers.filter((_, index) => index !== gone),
    edges: smaller.edges.map(([a, b]) => [renumber(a), renumber(b)] as const),
    events: smaller.events.flatMap((event): PlannedEvent[] => {
      if ("peer" in event && event.peer === gone) return []
      if ("into" in event) {
        return event.into === gone
          ? []
          : [{ ...event, peer: renumber(event.peer), into: renumber(event.into) }]
      }
      return "peer" in event ? [{ ...event, peer: renumber(event.peer) }] : [event]
    }),
  }
}

function withoutEdge(scenario: Scenario, gone: number): Scenario {
  return {
    ...scenario,
    edges: scenario.edges.filter((_, index) => index !== gone),
    events: scenario.events.flatMap((event): PlannedEvent[] => {
      if (!("edge" in event)) return [event]
      if (event.edge === gone) return []
      return [{ ...event, edge: event.edge > gone ? event.edge - 1 : event.edge }]
    }),
  }
}

/** The same world with one thing less in it. */
function* simpler(scenario: Scenario): Generator<Scenario> {
  if (scenario.twoVersions) yield { ...scenario, twoVersions: false }
  if (scenario.handler !== "later-wins") yield { ...scenario, handler: "later-wins" }
  for (const [index, plan] of scenario.peers.entries()) {
    const others = (change: Partial<typeof plan>): Scenario => ({
      ...scenario,
      peers: scenario.peers.map((peer, at) => (at === index ? { ...peer, ...change } : peer)),
    })
    if (plan.preload > 0) yield others({ preload: 0 })
    if (plan.preload > 1) yield others({ preload: Math.floor(plan.preload / 2) })
    if (plan.materialiseLagMs > 0) yield others({ materialiseLagMs: 0 })
    if (plan.wallOffsetMs !== 0) yield others({ wallOffsetMs: 0 })
    if (plan.refuses) yield others({ refuses: false })
    if (plan.present) yield others({ present: false })
  }
  for (const [index, event] of scenario.events.entries()) {
    if (event.type !== "write") continue
    const plain: PlannedAction = { ...event, padding: 0, attachment: 0, forbidden: false, deletes: false }
    if (event.padding === 0 && event.attachment === 0 && !event.forbidden && !event.deletes) continue
    const events = scenario.events.map((one, at) => (at === index ? { ...plain, atMs: event.atMs } : one))
    yield { ...scenario, events }
  }
}
