import { createSeededRandom, type SeededRandom } from "@dunlin/core/testing"
import { planEvents, type EventPlan } from "./event-plan.ts"
import { HANDLERS, type HandlerName } from "./handlers.ts"
import { planSideEvents } from "./side-events.ts"

/** Everything that will happen in one simulated world; plain data, so that it can be shrunk and kept. */
export interface Scenario {
  readonly seed: string
  readonly topology: Topology
  readonly peers: readonly PeerPlan[]
  /** Pairs of peers that are linked whenever both run. */
  readonly edges: readonly (readonly [number, number])[]
  readonly handler: HandlerName
  /** Peers of odd number run another version of the handler. */
  readonly twoVersions: boolean
  readonly documents: number
  /** The share of connections whose latency may be high. */
  readonly slowLinkRate: number
  readonly events: readonly PlannedEvent[]
  /** When faults end and every peer that is to come back does. */
  readonly healAtMs: number
}

export type Topology = "mesh" | "ring" | "star" | "line" | "random"

export interface PeerPlan {
  readonly startsAtMs: number
  readonly schemaTag: string
  readonly role: "writer" | "reader"
  readonly direction: "both" | "send-only" | "receive-only"
  /** Refuses documents marked as forbidden. */
  readonly refuses: boolean
  readonly materialiseLagMs: number
  readonly wallOffsetMs: number
  /** Documents written before the first link. */
  readonly preload: number
  /** Whether it shows presence as soon as it starts. */
  readonly present: boolean
  /** The peer whose device key it has as well, with a disk of its own: a second process of one user. */
  readonly twinOf?: number
}

export type PlannedEvent = { readonly atMs: number } & PlannedAction

export type PlannedAction =
  | {
      readonly type: "write"
      readonly peer: number
      readonly document: number
      readonly deletes: boolean
      readonly forbidden: boolean
      /** Bytes of filling besides the content. */
      readonly padding: number
      /** Bytes of an attachment; 0 for none. Equal sizes have equal content. */
      readonly attachment: number
    }
  | {
      readonly type: "cut"
      readonly edge: number
      /** When each end hears of it; null: only by silence. */
      readonly noticeMs: readonly [number | null, number | null]
      readonly backAfterMs: number
    }
  | {
      readonly type: "partition"
      readonly edge: number
      readonly from: 0 | 1 | "both"
      readonly forMs: number
    }
  | { readonly type: "slow"; readonly peer: number; readonly bytesPerMs: number; readonly forMs: number }
  | { readonly type: "duplicate"; readonly edge: number; readonly rate: number; readonly forMs: number }
  | { readonly type: "garbage"; readonly edge: number; readonly from: 0 | 1; readonly kind: GarbageKind }
  | {
      readonly type: "crash"
      readonly peer: number
      readonly backAfterMs: number
      /** Comes back with the disk of its last backup. */
      readonly rollback: boolean
    }
  | { readonly type: "backup"; readonly peer: number }
  /** Another device starts with a copy of this one's disk. */
  | { readonly type: "copy"; readonly peer: number; readonly into: number }
  | { readonly type: "leave"; readonly peer: number; readonly backAfterMs: number | null }
  /** Closes its replica, and opens it again in the same room. */
  | { readonly type: "reopen"; readonly peer: number; readonly backAfterMs: number }
  | { readonly type: "clock-step"; readonly peer: number; readonly byMs: number }
  | { readonly type: "disk-slow"; readonly peer: number; readonly syncMs: number; readonly forMs: number }
  | { readonly type: "disk-failing"; readonly peer: number; readonly rate: number; readonly forMs: number }
  | { readonly type: "reads-failing"; readonly peer: number; readonly rate: number; readonly forMs: number }
  /** Changes its presence, or takes it back. */
  | { readonly type: "presence"; readonly peer: number; readonly present: boolean }
  /** Calls `synced()`, and inspects the disks when it resolves. */
  | { readonly type: "await-synced"; readonly peer: number; readonly peers?: number }

export type GarbageKind = "noise" | "mutated" | "truncated" | "spoilt-chunk"

export interface ScenarioLimits {
  readonly minPeers: number
  readonly maxPeers: number
}

export const USUAL_LIMITS: ScenarioLimits = { minPeers: 3, maxPeers: 8 }

const HOUR_MS = 3_600_000

/** The world of a seed. */
export function createScenario(seed: string, limits: ScenarioLimits = USUAL_LIMITS): Scenario {
  const random = createSeededRandom(`scenario/${seed}`)
  const topology = random.pick<Topology>(["mesh", "mesh", "ring", "star", "line", "random"])
  const core = limits.minPeers + random.below(limits.maxPeers - limits.minPeers + 1)
  const faultsMs = 8_000 + random.below(20_000)
  const edges: (readonly [number, number])[] = connect(topology, core, random)
  const large = random.chance(0.1)
  const peers: PeerPlan[] = Array.from({ length: core }, () => planPeer(random, faultsMs, large))
  if (random.chance(0.2)) mixTags(peers, random)
  addLeaf(peers, edges, random, 0.2, (plan) => ({ ...plan, role: "reader" }))
  addLeaf(peers, edges, random, 0.15, (plan) => ({
    ...plan,
    direction: random.chance(0.5) ? "receive-only" : "send-only",
  }))
  if (random.chance(0.2)) {
    const refusing = random.below(core)
    peers[refusing] = { ...(peers[refusing] as PeerPlan), refuses: true }
  }
  const documents = 1 + random.below(6)
  const plan: EventPlan = { random, peers, edges, documents, faultsMs, core, topology }
  const handler = random.pick(Object.keys(HANDLERS) as HandlerName[])
  const twoVersions = random.chance(0.15)
  const events = planSideEvents(planEvents(plan), plan, seed)
  return {
    seed,
    topology,
    handler,
    twoVersions,
    documents,
    slowLinkRate: 0.25,
    events: planTwins(plan, events, seed).toSorted((a, b) => a.atMs - b.atMs),
    // Copies of devices join the plan while events are planned.
    peers,
    edges,
    healAtMs: faultsMs + 500,
  }
}

function connect(topology: Topology, count: number, random: SeededRandom): (readonly [number, number])[] {
  const edges: (readonly [number, number])[] = []
  for (let peer = 1; peer < count; peer++) {
    if (topology === "mesh") for (let other = 0; other < peer; other++) edges.push([other, peer])
    if (topology === "ring" || topology === "line") edges.push([peer - 1, peer])
    if (topology === "star") edges.push([0, peer])
    if (topology === "random") edges.push([random.below(peer), peer])
  }
  if (topology === "ring" && count > 2) edges.push([0, count - 1])
  if (topology === "random") {
    for (let extra = random.below(count + 1); extra > 0; extra--) {
      const [a, b] = [random.below(count), random.below(count)].toSorted((x, y) => x - y) as [number, number]
      if (a !== b && !edges.some(([x, y]) => x === a && y === b)) edges.push([a, b])
    }
  }
  return edges
}

function planPeer(random: SeededRandom, faultsMs: number, large: boolean): PeerPlan {
  return {
    startsAtMs: random.chance(0.2) ? random.below(faultsMs * 0.7) : random.below(300),
    schemaTag: "1",
    role: "writer",
    direction: "both",
    refuses: false,
    materialiseLagMs: random.chance(0.3) ? 1 + random.below(1_500) : 0,
    wallOffsetMs: random.chance(0.3) ? random.below(2 * HOUR_MS) - HOUR_MS : random.below(2_000) - 1_000,
    preload: large ? random.below(100) : random.chance(0.3) ? random.below(12) : 0,
    present: false,
  }
}

function mixTags(peers: PeerPlan[], random: SeededRandom): void {
  for (const [at, peer] of peers.entries()) if (random.chance(0.4)) peers[at] = { ...peer, schemaTag: "2" }
}

/** One more peer with a single link to one of the others. */
function addLeaf(
  peers: PeerPlan[],
  edges: (readonly [number, number])[],
  random: SeededRandom,
  probability: number,
  change: (plan: PeerPlan) => PeerPlan,
): void {
  if (!random.chance(probability)) return
  const candidates = [...peers.keys()].filter((peer) => isFull(peers[peer] as PeerPlan))
  const host = random.pick(candidates)
  edges.push([host, peers.length])
  peers.push(change({ ...planPeer(random, 1_000, false), schemaTag: (peers[host] as PeerPlan).schemaTag }))
}

/** Now and then two peers share a device key, and wait for more than one device. */
function planTwins(
  { peers, edges, core }: EventPlan,
  events: readonly PlannedEvent[],
  seed: string,
): readonly PlannedEvent[] {
  const random = createSeededRandom(`twins/${seed}`)
  const [one, two] = [random.below(core), random.below(core)]
  const [first, second] = [peers[one], peers[two]] as [PeerPlan, PeerPlan]
  if (one === two || first.schemaTag !== second.schemaTag || !random.chance(0.3)) return events
  peers[two] = { ...second, twinOf: one }
  const isLinked = edges.some((ends) => ends.includes(one) && ends.includes(two))
  if (!isLinked) edges.push([one, two])
  return events.map((event) => {
    if (event.type !== "await-synced") return event
    const peer = random.chance(0.5) ? event.peer : random.pick([one, two])
    return { ...event, peer, peers: 1 + random.below(3) }
  })
}

/** Writes, relays, and takes what others write. */
export function isFull(plan: PeerPlan): boolean {
  return plan.role === "writer" && plan.direction === "both"
}
