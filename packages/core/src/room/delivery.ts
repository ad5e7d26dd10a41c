import type { NakItem } from "../protocol/frame.ts"
import { mapKey } from "../protocol/map-key.ts"
import type { EntryReference } from "../protocol/outbox.ts"
import { startsWithBytes } from "../protocol/same-bytes.ts"
import type { LinkTarget } from "./room-replica.ts"

/** The peer did not take an entry: for as long as its digest stays the same, or only now. */
export function noteRefusal({ own, room }: LinkTarget, item: NakItem): void {
  const key = mapKey(item.position)
  const held = room.shared.index.get(item.position)?.digest
  own.feed.unconfirmed.crossed(key)
  if (item.again) {
    own.postponed()
    own.refusals.putOff(item.position, item.digest)
  } else if (held !== undefined && startsWithBytes(held, item.digest)) {
    own.refusals.byPeer.set(key, held)
    own.feed.unconfirmed.refused(key)
  } else {
    // The state held here now is another one, which the peer has yet to judge.
    own.refusals.putOff(item.position, item.digest)
  }
}

/** The peer is done with these entries, which may have been all that was under way. */
export function noteDeliveries(targets: readonly LinkTarget[], references: readonly EntryReference[]): void {
  for (const reference of references) {
    const target = targets.find(({ own }) => own.shared.slot === reference.slot)
    if (target !== undefined) noteDelivery(target, reference)
  }
  for (const { own } of targets) own.check()
}

/** The peer is done with an entry, and unless it refused it, holds it durably. */
function noteDelivery({ own }: LinkTarget, { position, digest, changes, alone }: EntryReference): void {
  const key = mapKey(position)
  // Sent for a replica that the peer has closed and announced anew since then.
  if (changes < own.feed.unconfirmed.since) return
  if (own.refusals.takePutOff(position, digest) || own.refusals.isByPeer(position, digest)) return
  const confirmed = own.feed.unconfirmed.confirmed(key, changes, alone)
  own.exchanged("sent")
  if (confirmed) own.peerHolds(position, digest)
}
