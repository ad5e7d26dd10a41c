import { MAX_PUSH_BYTES, SHORT_DIGEST_BYTES } from "../protocol/limits.ts"
import { mapKey } from "../protocol/map-key.ts"
import type { Outbox } from "../protocol/outbox.ts"
import { createAnnouncements } from "./announcements.ts"
import type { PurposeTimers } from "./purpose-timers.ts"
import type { Transition } from "./shared-replica.ts"
import { createUnconfirmed, type Unconfirmed } from "./unconfirmed.ts"

/** Live changes of one replica to one peer: pushed where that is the quickest way, else announced. */
export interface ChangeFeed {
  readonly unconfirmed: Unconfirmed
  /** Sends a change at once, or says HAVE when it cannot be pushed or the peer hears of it elsewhere first. */
  push(transition: Transition): void
  /** Says HAVE after at most `delayMs`. */
  announce(position: Uint8Array, digest: Uint8Array, delayMs: number): void
  /** Says that the entry is held here, to a peer that holds it too and asked by OFFER. */
  confirm(position: Uint8Array, digest: Uint8Array): void
  /** The peer's push brought nothing new: from now on both sides only announce changes to each other. */
  prune(): void
  pruned(): void
  /** One of the sides wanted an entry that was only announced: changes are pushed again. */
  graft(): void
  close(): void
}

export interface ChangeFeedOptions {
  readonly slot: number
  readonly kind: number
  readonly outbox: Outbox
  /** Each wake is followed by a flush. */
  readonly timers: PurposeTimers
  /** Counts the changes of the whole link. */
  readonly nextChange: () => number
}

/** Time for a change to arrive by the quicker way. */
const LAZY_DELAY_MS = 100
const NO_DIGEST = new Uint8Array(SHORT_DIGEST_BYTES)

export function createChangeFeed(options: ChangeFeedOptions): ChangeFeed {
  const { slot, kind, outbox, timers } = options
  const unconfirmed = createUnconfirmed(options.nextChange)
  const announcements = createAnnouncements({ slot, outbox, timers })
  /** Changes reach the peer sooner by another way: here they are announced, not pushed. */
  let lazy = false

  const tryPush = (
    { key, position, before, delta }: Transition,
    after: Uint8Array,
    changes: number,
  ): boolean => {
    if (delta === undefined || delta.length > MAX_PUSH_BYTES) return false
    const digest = after.slice(0, SHORT_DIGEST_BYTES)
    return outbox.push(
      { type: "push", slot, kind, key, before: before ?? NO_DIGEST, after: digest, delta },
      { slot, position, digest, changes, alone: true },
    )
  }

  return {
    unconfirmed,
    push(transition) {
      const { position, after } = transition
      const changes = unconfirmed.changed(mapKey(position))
      if (after === null) unconfirmed.confirmed(mapKey(position), changes)
      else if (lazy) announcements.add(position, after, LAZY_DELAY_MS)
      else if (!tryPush(transition, after, changes)) announcements.add(position, after, 0)
    },
    announce(position, digest, delayMs) {
      unconfirmed.changed(mapKey(position))
      announcements.add(position, digest, delayMs)
    },
    confirm: (position, digest) => announcements.add(position, digest, 0),
    prune() {
      if (!lazy) outbox.control({ type: "prune", slot })
      lazy = true
    },
    pruned() {
      lazy = true
    },
    graft() {
      lazy = false
    },
    close: () => announcements.clear(),
  }
}
