import type { SeededRandom } from "@dunlin/core/testing"
import type { GarbageKind, PeerPlan, PlannedAction, PlannedEvent, Topology } from "./scenario.ts"

const HOUR_MS = 3_600_000

export interface EventPlan {
  readonly random: SeededRandom
  readonly peers: PeerPlan[]
  readonly edges: (readonly [number, number])[]
  readonly documents: number
  readonly faultsMs: number
  /** Number of peers in the first plan, before leaves and copies. */
  readonly core: number
  readonly topology: Topology
}

/** What happens in a world, in no particular order. */
export function planEvents(plan: EventPlan): PlannedEvent[] {
  const { random, peers, edges, documents, faultsMs, core } = plan
  const events: PlannedEvent[] = []
  const at = (): number => random.below(faultsMs)
  const add = (action: PlannedAction, atMs = at()): void => void events.push({ atMs, ...action })
  const times = (most: number, action: () => PlannedAction): void => {
    for (let count = random.below(most + 1); count > 0; count--) add(action())
  }
  const peer = (): number => random.below(peers.length)
  const edge = (): number => random.below(edges.length)
  const someRefuse = peers.some(({ refuses }) => refuses)

  for (let count = 15 + random.below(60); count > 0; count--) {
    const author = random.below(core + (random.chance(0.3) ? peers.length - core : 0))
    add({
      type: "write",
      peer: author,
      document: random.below(documents),
      deletes: random.chance(0.18),
      forbidden: someRefuse && !(peers[author] as PeerPlan).refuses && random.chance(0.15),
      padding: random.chance(0.04) ? 1_000 + random.below(120_000) : 0,
      attachment: 0,
    })
  }
  times(5, () => ({
    type: "cut",
    edge: edge(),
    noticeMs: planNotice(random),
    backAfterMs: random.below(5_000),
  }))
  times(2, () => ({
    type: "partition",
    edge: edge(),
    from: random.pick<0 | 1 | "both">([0, 1, "both", "both"]),
    forMs: 200 + random.below(8_000),
  }))
  times(1, () => ({
    type: "slow",
    peer: peer(),
    bytesPerMs: 0.5 + random.unit() * 20,
    forMs: 1_000 + random.below(10_000),
  }))
  times(2, () => ({
    type: "duplicate",
    edge: edge(),
    rate: 0.1 + random.unit() * 0.5,
    forMs: 1_000 + random.below(10_000),
  }))
  times(1, () => ({
    type: "garbage",
    edge: edge(),
    from: random.pick<0 | 1>([0, 1]),
    kind: random.pick<GarbageKind>(["noise", "mutated", "truncated"]),
  }))
  times(2, () => ({ type: "clock-step", peer: peer(), byMs: random.below(2 * HOUR_MS) - HOUR_MS }))
  times(1, () => ({
    type: "disk-slow",
    peer: peer(),
    syncMs: 20 + random.below(1_500),
    forMs: random.below(8_000),
  }))
  times(1, () => ({
    type: "disk-failing",
    peer: peer(),
    rate: 0.1 + random.unit() * 0.7,
    forMs: 500 + random.below(5_000),
  }))
  for (let count = random.below(3); count > 0; count--) planCrash(plan, add)
  if (random.chance(0.35)) {
    const victim = peer()
    const backupAt = at()
    add({ type: "backup", peer: victim }, backupAt)
    add(
      { type: "crash", peer: victim, backAfterMs: random.below(3_000), rollback: true },
      backupAt + 1 + random.below(faultsMs - backupAt + 1),
    )
  }
  if (random.chance(0.2)) {
    const original = random.below(core)
    const copyAt = at()
    add({ type: "copy", peer: original, into: peers.length }, copyAt)
    edges.push([original, peers.length])
    peers.push({ ...(peers[original] as PeerPlan), startsAtMs: Number.MAX_SAFE_INTEGER, preload: 0 })
    if (random.chance(0.7)) {
      add(
        {
          type: "write",
          peer: peers.length - 1,
          document: random.below(documents),
          deletes: false,
          forbidden: false,
          padding: 0,
          attachment: 0,
        },
        copyAt + random.below(4_000),
      )
    }
  }
  if (random.chance(0.3)) {
    add({ type: "leave", peer: peer(), backAfterMs: random.chance(0.6) ? random.below(5_000) : null })
  }
  return events
}

/** Most crashes come while the disk is busy, or there would be nothing to lose. */
function planCrash({ random, peers, documents, faultsMs }: EventPlan, add: Add): void {
  const victim = random.below(peers.length)
  const crashAt = 2_000 + random.below(faultsMs - 2_000)
  add({ type: "crash", peer: victim, backAfterMs: random.below(6_000), rollback: false }, crashAt)
  if (random.chance(0.2)) return
  const busyMs = 300 + random.below(1_500)
  add({ type: "disk-slow", peer: victim, syncMs: busyMs / 2, forMs: busyMs }, crashAt - busyMs)
  // Writes of many documents, so that those that come while the disk is busy are then written in one go.
  for (let count = 14 + random.below(16); count > 0; count--) {
    const author = random.below(peers.length)
    const document = random.below(documents + 8)
    add(
      { type: "write", peer: author, document, deletes: false, forbidden: false, padding: 0, attachment: 0 },
      crashAt - random.below(busyMs),
    )
  }
}

type Add = (action: PlannedAction, atMs: number) => void

function planNotice(random: SeededRandom): readonly [number | null, number | null] {
  const one = (): number | null =>
    random.chance(0.15) ? null : random.below(random.chance(0.5) ? 50 : 4_000)
  return [one(), one()]
}
