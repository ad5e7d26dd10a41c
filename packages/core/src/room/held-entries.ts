import { bytesEqual, mapKey, mapKeyBytes } from "../protocol/bytes-equal.ts"
import type { FingerprintIndex } from "../protocol/fingerprint-index.ts"
import type { Outbox } from "../protocol/outbox.ts"
import type { ChangeFeed } from "./change-feed.ts"
import type { Refusals } from "./refusals.ts"
import type { SendQueue } from "./send-queue.ts"

/** What is here of an entry and the peer may lack, unless it refused just that. */
export interface HeldEntries {
  /** For a peer that sends us nothing: it is told what is here, and asks for it. Until then it is owed. */
  announce(position: Uint8Array): void
  /** Sends these, and some of what was only announced, unless something is on its way still. */
  sendAll(positions: readonly Uint8Array[]): void
}

/** Nobody confirms a HAVE of what it holds already, and where roots stay apart nothing else tells: so many are sent at a time. */
const SENT_AGAIN = 64

export function createHeldEntries({
  index,
  refusals,
  feed,
  queue,
  outbox,
}: {
  readonly index: FingerprintIndex
  readonly refusals: Refusals
  readonly feed: Pick<ChangeFeed, "announce" | "unconfirmed">
  readonly queue: SendQueue
  readonly outbox: Pick<Outbox, "unacknowledged">
}): HeldEntries {
  const deliverable = (position: Uint8Array): Uint8Array | null => {
    const digest = index.get(position)?.digest ?? null
    const refused = refusals.byPeer.get(mapKey(position))
    return digest !== null && refused !== undefined && bytesEqual(refused, digest) ? null : digest
  }
  return {
    announce(position) {
      const digest = deliverable(position)
      if (digest !== null) feed.announce(position, digest, 0)
    },
    sendAll(positions) {
      const announced = outbox.unacknowledged > 0 ? [] : feed.unconfirmed.oldest(SENT_AGAIN).map(mapKeyBytes)
      for (const position of [...positions, ...announced]) {
        const digest = deliverable(position)
        if (digest === null) continue
        feed.unconfirmed.changed(mapKey(position), digest)
        queue.addEntry(position, null)
      }
    },
  }
}
