import { createSeededRandom, type SeededRandom } from "@dunlin/core/testing"
import type { EventPlan } from "./event-plan.ts"
import type { PlannedEvent } from "./scenario.ts"

/** Sizes at the borders of a chunk, and of what fits into one message. */
const TELLING_SIZES = [1, 900, 12_000, 65_535, 65_536, 65_537, 131_072]

/**
 * Attachments, failing reads, replicas that close, presence and `synced()`, in some of the worlds. They have random
 * sequences of their own, so that a seed's links, crashes and writes stay what they are.
 */
export function planSideEvents(
  events: readonly PlannedEvent[],
  plan: EventPlan,
  seed: string,
): readonly PlannedEvent[] {
  const random = createSeededRandom(`side/${seed}`)
  const attached = random.chance(0.3)
    ? withTornFetches(withAttachments(events, plan, random), plan, createSeededRandom(`torn/${seed}`))
    : events
  const disturbed = [
    ...attached,
    ...planFailingReads(plan, createSeededRandom(`reads/${seed}`)),
    ...planReopening(plan, createSeededRandom(`reopening/${seed}`)),
  ]
  if (random.chance(0.4)) return [...disturbed, ...planPresence(plan, random), ...planWaits(plan, random)]
  return [...disturbed, ...planWaits(plan, random)]
}

/** Most begin while peers find each other, since what they lack is read then. */
function planFailingReads({ peers, faultsMs }: EventPlan, random: SeededRandom): readonly PlannedEvent[] {
  if (!random.chance(0.4)) return []
  return Array.from({ length: 1 + random.below(3) }, () => ({
    type: "reads-failing",
    peer: random.below(peers.length),
    rate: random.chance(0.5) ? 1 : random.unit(),
    forMs: 500 + random.below(6_000),
    atMs: random.below(random.chance(0.5) ? 500 : faultsMs),
  }))
}

/** Often at once, so that what was on its way to the closed replica meets the new one. */
function planReopening({ peers, faultsMs }: EventPlan, random: SeededRandom): readonly PlannedEvent[] {
  if (!random.chance(0.3)) return []
  return Array.from({ length: 1 + random.below(4) }, () => ({
    type: "reopen",
    peer: random.below(peers.length),
    backAfterMs: random.chance(0.5) ? random.below(50) : random.below(3_000),
    atMs: random.below(random.chance(0.3) ? 800 : faultsMs),
  }))
}

function withAttachments(
  events: readonly PlannedEvent[],
  { edges, faultsMs }: EventPlan,
  random: SeededRandom,
): readonly PlannedEvent[] {
  const changed = events.map((event): PlannedEvent => {
    if (event.type !== "write" || event.deletes || event.padding > 0 || !random.chance(0.2)) return event
    const attachment = random.chance(0.6) ? random.pick(TELLING_SIZES) : 1 + random.below(250_000)
    return { ...event, attachment }
  })
  if (random.chance(0.7)) return changed
  const from = random.pick<0 | 1>([0, 1])
  const edge = random.below(edges.length)
  return [...changed, { type: "garbage", edge, from, kind: "spoilt-chunk", atMs: random.below(faultsMs) }]
}

/** A peer that sends an attachment of several chunks is slow, and loses a link before the last chunk is through. */
function withTornFetches(
  events: readonly PlannedEvent[],
  { edges }: EventPlan,
  random: SeededRandom,
): readonly PlannedEvent[] {
  return events.flatMap((event): readonly PlannedEvent[] => {
    if (event.type !== "write" || event.attachment <= 65_536 || !random.chance(0.5)) return [event]
    const { peer, atMs } = event
    const own = [...edges.keys()].filter((edge) => edges[edge]?.includes(peer))
    if (own.length === 0) return [event]
    const forMs = 1_500
    return [
      event,
      { type: "slow", peer, bytesPerMs: 60 + random.below(240), forMs, atMs },
      {
        type: "cut",
        edge: random.pick(own),
        noticeMs: [random.below(50), random.below(50)],
        backAfterMs: random.below(2_000),
        atMs: atMs + 100 + random.below(forMs),
      },
    ]
  })
}

function planPresence({ peers, faultsMs }: EventPlan, random: SeededRandom): readonly PlannedEvent[] {
  for (const [at, peer] of peers.entries()) peers[at] = { ...peer, present: random.chance(0.8) }
  return Array.from({ length: random.below(8) }, () => ({
    type: "presence",
    peer: random.below(peers.length),
    present: random.chance(0.8),
    atMs: random.below(faultsMs),
  }))
}

function planWaits({ peers, faultsMs }: EventPlan, random: SeededRandom): readonly PlannedEvent[] {
  return Array.from({ length: 15 + random.below(30) }, () => ({
    type: "await-synced",
    peer: random.below(peers.length),
    atMs: random.below(faultsMs),
  }))
}
