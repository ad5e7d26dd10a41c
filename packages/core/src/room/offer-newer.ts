import { mapKey } from "../protocol/bytes-equal.ts"
import type { AnnounceFrame, OfferItem } from "../protocol/frame.ts"
import type { Outbox } from "../protocol/outbox.ts"
import type { SharedReplica } from "./shared-replica.ts"
import type { Unconfirmed } from "./unconfirmed.ts"

export interface Newcomer {
  readonly device: string
  readonly shared: SharedReplica
  readonly announced: AnnounceFrame
  readonly outbox: Outbox
}

/** With more changes than this, ranges are cheaper to compare than entries to list. */
const MAX_OFFERED = 2_048
const MAX_OFFERED_PER_FRAME = 400

/**
 * A pair that remembers a common root exchanges what is newer, and compares roots. True when this side may expect
 * that to be enough.
 */
export function offerNewer(
  { device, shared, announced, outbox }: Newcomer,
  unconfirmed: Unconfirmed,
): boolean {
  const newer = announced.basis === null ? null : shared.history.since(announced.basis)
  if (newer === null || newer.length > MAX_OFFERED) return false
  const items: OfferItem[] = []
  for (const position of newer) {
    const digest = shared.index.get(position)?.digest
    if (digest === undefined) continue
    items.push({ position, digest, size: 0 })
    // Offered is not held: until the peer confirms it, or roots are equal, it is owed.
    unconfirmed.changed(mapKey(position), digest)
  }
  for (let at = 0; at < items.length; at += MAX_OFFERED_PER_FRAME) {
    outbox.control({ type: "offer", slot: shared.slot, items: items.slice(at, at + MAX_OFFERED_PER_FRAME) })
  }
  return shared.history.basisFor(device) !== null
}
