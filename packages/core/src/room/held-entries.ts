import type { FingerprintIndex } from "../protocol/fingerprint-index.ts"
import { mapKey, mapKeyBytes } from "../protocol/map-key.ts"
import type { Outbox } from "../protocol/outbox.ts"
import type { ChangeFeed } from "./change-feed.ts"
import { MAX_OFFERED, offerAll } from "./offer-newer.ts"
import type { Permissions } from "./permissions.ts"
import type { Refusals } from "./refusals.ts"

/** Tells the peer of states held here that it may lack, except those that it refused. They are unconfirmed until it answers. */
export interface HeldEntries {
  /** Says HAVE for our state after at most `delayMs`. */
  announce(position: Uint8Array, delayMs: number): void
  /** Says HAVE before anything else is said: the peer's push led to another state here than there. */
  contradict(position: Uint8Array, digest: Uint8Array): void
  /**
   * Offers these, and what was announced and never confirmed: a HAVE of what the peer already holds gets no answer, and
   * while roots stay unequal nothing else tells. Oldest first; true when there is more.
   */
  offer(positions: readonly Uint8Array[]): boolean
}

export function createHeldEntries({
  slot,
  index,
  permissions,
  refusals,
  feed,
  outbox,
}: {
  readonly slot: number
  readonly permissions: Pick<Permissions, "send">
  readonly index: FingerprintIndex
  readonly refusals: Refusals
  readonly feed: Pick<ChangeFeed, "announce" | "unconfirmed">
  readonly outbox: Pick<Outbox, "unacknowledgedBulk" | "control">
}): HeldEntries {
  const { unconfirmed } = feed
  const deliverable = (position: Uint8Array): Uint8Array | null => {
    const digest = index.get(position)?.digest
    return digest === undefined || refusals.isByPeer(position, digest) ? null : digest
  }
  return {
    announce(position, delayMs) {
      const digest = permissions.send ? deliverable(position) : null
      if (digest !== null) feed.announce(position, digest, delayMs)
    },
    contradict(position, digest) {
      if (permissions.send && deliverable(position) !== null) unconfirmed.changed(mapKey(position))
      outbox.control({ type: "have", slot, items: [{ position, digest }] })
    },
    offer(positions) {
      for (const position of positions) {
        if (deliverable(position) !== null) unconfirmed.changed(mapKey(position))
      }
      // The entries may just be on their way, and an offer would overtake them.
      if (outbox.unacknowledgedBulk > 0) return unconfirmed.size > 0
      const items = unconfirmed.oldest(MAX_OFFERED).flatMap((key) => {
        const position = mapKeyBytes(key)
        const digest = deliverable(position)
        return digest === null ? [] : { position, digest }
      })
      offerAll(outbox, slot, items)
      return unconfirmed.size > MAX_OFFERED
    },
  }
}
