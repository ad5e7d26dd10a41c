import type { TransportHost } from "../ports/transport.ts"
import { isLeafId, type MeshPlan, planMesh } from "../protocol/mesh-plan.ts"

export interface MeshLinksOptions {
  /** Our peer id in hex. */
  readonly self: string
  readonly host: Pick<TransportHost, "clock" | "linkLimit" | "isReader">
  /** Peers of the topic, without ourselves. */
  readonly present: () => readonly string[]
  /** Peers with an open connection. */
  readonly linked: () => readonly string[]
  /** The plan names a peer that is not linked. */
  readonly wanted: (id: string) => void
  /** A connection can go: the plan does not name it and the ring stands without it. */
  readonly surplus: (id: string) => void
  /** The room is large, we are a reader, and our id says that we pass things on. */
  readonly misplaced: () => void
}

/** Follows the mesh plan as peers come and go, slowly enough that a burst of arrivals does not tear links down. */
export interface MeshLinks {
  wants(id: string): boolean
  /** Gives up a connection outside the plan for one that is in it. True when that was possible. */
  makeRoom(id: string): boolean
  /** Somebody came or went. */
  changed(): void
  close(): void
}

/** Presence comes in bursts, and both ends should plan with the same list. */
const PLAN_DELAY_MS = 300
/** A new reader looks like a relay until it learns that it is one: leaves that have a relay do not run there and back meanwhile. */
const LEAF_PLAN_DELAY_MS = 2_000
/** A connection outside our plan may be in the other side's: its list of peers is given time to become ours. */
const TRIM_DELAY_MS = 5_000
const TRIM_STEP_MS = 1_000

export function createMeshLinks(options: MeshLinksOptions): MeshLinks {
  const { self, host } = options
  const { clock, linkLimit: maxLinks, isReader } = host
  let plan: MeshPlan | null = null
  let cancelPlan: (() => void) | null = null
  let cancelTrim: (() => void) | null = null
  /**
   * Peers whose link was given up once. One that makes the link again plans with another list, such as that of one server
   * of several: it would be cut off at every change, and this may be its only link.
   */
  const givenUp = new Set<string>()
  let closed = false

  const isPlanned = (id: string): boolean => plan === null || plan.ring.has(id) || plan.chords.has(id)

  const replan = (): void => {
    cancelPlan = null
    const present = options.present()
    // While everyone can be linked to everyone there is nothing to plan, and no delay.
    plan = present.length <= maxLinks ? null : planMesh(self, present, maxLinks)
    const linked = options.linked()
    if (plan !== null && isReader.get() && !isLeafId(self)) options.misplaced()
    for (const id of present) {
      // Leaves look for relays, not the other way round, so that only one of them has to be patient.
      if (isPlanned(id) && !linked.includes(id) && (isLeafId(self) || !isLeafId(id))) options.wanted(id)
    }
    for (const id of givenUp) if (!present.includes(id)) givenUp.delete(id)
    cancelTrim?.()
    cancelTrim = plan === null ? null : clock.after(TRIM_DELAY_MS, trim)
  }

  const trim = (): void => {
    cancelTrim = null
    if (plan === null || closed) return
    const linked = options.linked()
    const ringStands = [...plan.ring].every((id) => linked.includes(id))
    const present = options.present()
    // A peer that is linked but not present has lost its server, and nobody could call it again.
    const surplus = linked.find((id) => !isPlanned(id) && !givenUp.has(id) && present.includes(id))
    if (surplus === undefined) return
    if (ringStands || linked.length >= maxLinks) {
      givenUp.add(surplus)
      options.surplus(surplus)
    }
    cancelTrim = clock.after(TRIM_STEP_MS, trim)
  }

  const changed = (): void => {
    if (closed) return
    // A peer that comes into a large room must not call everyone first.
    if (plan === null && options.present().length > maxLinks) {
      cancelPlan?.()
      replan()
    } else {
      const canWait = isLeafId(self) && options.linked().some((id) => isPlanned(id) && !isLeafId(id))
      cancelPlan ??= clock.after(canWait ? LEAF_PLAN_DELAY_MS : PLAN_DELAY_MS, replan)
    }
  }
  const unsubscribe = isReader.subscribe(changed)

  return {
    wants: isPlanned,
    makeRoom(id) {
      if (plan === null) return false
      // A newcomer may call before we have planned for it.
      if (cancelPlan !== null) plan = planMesh(self, options.present(), maxLinks)
      if (!isPlanned(id)) return false
      const surplus = options.linked().find((linked) => !isPlanned(linked))
      if (surplus !== undefined) options.surplus(surplus)
      return surplus !== undefined
    },
    changed,
    close() {
      closed = true
      unsubscribe()
      cancelPlan?.()
      cancelTrim?.()
    },
  }
}
