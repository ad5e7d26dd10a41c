import type { AnnounceFrame, HaveItem } from "../protocol/frame.ts"
import { mapKey } from "../protocol/map-key.ts"
import type { Outbox } from "../protocol/outbox.ts"
import type { SendQueue } from "./send-queue.ts"
import type { SharedReplica } from "./shared-replica.ts"
import type { Unconfirmed } from "./unconfirmed.ts"

export interface Newcomer {
  readonly device: string
  readonly shared: SharedReplica
  readonly announced: AnnounceFrame
  readonly outbox: Outbox
  /** Some third peer is linked to both sides, and may have brought the same, or be about to. */
  readonly sharesLinks: boolean
}

/** With more changes than this, comparing ranges is cheaper than listing entries. */
export const MAX_OFFERED = 2_048
const MAX_OFFERED_PER_FRAME = 400
/** More entries than this are offered: the other side may hold some, and asks for the rest with its summaries. */
const MAX_UNASKED = 128

/**
 * Two devices that remember where they last agreed exchange what is newer, a little of it unasked, and compare roots. True
 * when this side may expect that to be enough.
 */
export function offerNewer(
  { device, shared, announced, outbox, sharesLinks }: Newcomer,
  queue: SendQueue,
  unconfirmed: Unconfirmed,
): boolean {
  const newer = announced.basis === null ? null : shared.history.since(announced.basis)
  if (newer === null || newer.length > MAX_OFFERED) return false
  const items: HaveItem[] = []
  for (const position of newer) {
    const digest = shared.index.get(position)?.digest
    if (digest === undefined) continue
    items.push({ position, digest })
    // To be offered an entry is not to hold it: until the peer confirms it, or roots are equal, the entry is unconfirmed.
    unconfirmed.changed(mapKey(position))
  }
  if (items.length > MAX_UNASKED || sharesLinks) offerAll(outbox, shared.slot, items)
  else for (const { position } of items) queue.addUnasked(position)
  return shared.history.basisFor(device) !== null
}

/** The peer asks for those that it lacks, and on a live link says which of them it holds. */
export function offerAll(outbox: Pick<Outbox, "control">, slot: number, items: readonly HaveItem[]): void {
  for (let at = 0; at < items.length; at += MAX_OFFERED_PER_FRAME) {
    outbox.control({ type: "offer", slot, items: items.slice(at, at + MAX_OFFERED_PER_FRAME) })
  }
}
