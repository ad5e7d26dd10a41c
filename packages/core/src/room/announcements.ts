import { bytesEqual, mapKey, mapKeyBytes } from "../protocol/bytes-equal.ts"
import { MAX_ITEMS, SHORT_DIGEST_BYTES } from "../protocol/limits.ts"
import type { Outbox } from "../protocol/outbox.ts"
import type { PurposeTimers } from "./purpose-timers.ts"

/** HAVE frames to one peer for one replica, and what the peer is known to hold. */
export interface Announcements {
  /** Says HAVE after `delayMs`, unless the peer is known to hold the entry by then. */
  add(position: Uint8Array, digest: Uint8Array, delayMs: number): void
  /** The peer said, or showed, that it holds this digest. */
  peerHolds(position: Uint8Array, digest: Uint8Array): void
  clear(): void
}

const MAX_REMEMBERED = 4_096
const CONGESTED_RETRY_MS = 200

export function createAnnouncements(options: {
  readonly slot: number
  readonly outbox: Outbox
  readonly timers: PurposeTimers
  readonly flush: () => void
}): Announcements {
  const { slot, outbox, timers } = options
  const digestByPosition = new Map<string, Uint8Array>()
  const heldByPeer = new Map<string, Uint8Array>()

  const send = (): void => {
    if (digestByPosition.size === 0) return
    if (!outbox.wantsControl) {
      timers.start("announce", CONGESTED_RETRY_MS, send)
      return
    }
    const items: { position: Uint8Array; digest: Uint8Array }[] = []
    for (const [key, digest] of digestByPosition) {
      const held = heldByPeer.get(key)
      if (held === undefined || !bytesEqual(held, digest)) items.push({ position: mapKeyBytes(key), digest })
    }
    digestByPosition.clear()
    for (let at = 0; at < items.length; at += MAX_ITEMS / 2) {
      outbox.control({ type: "have", slot, items: items.slice(at, at + MAX_ITEMS / 2) })
    }
    options.flush()
  }

  return {
    add(position, digest, delayMs) {
      digestByPosition.set(mapKey(position), digest.slice(0, SHORT_DIGEST_BYTES))
      if (delayMs === 0) send()
      else if (!timers.has("announce")) timers.start("announce", delayMs, send)
    },
    peerHolds(position, digest) {
      const key = mapKey(position)
      heldByPeer.delete(key)
      heldByPeer.set(key, digest.slice(0, SHORT_DIGEST_BYTES))
      if (heldByPeer.size <= MAX_REMEMBERED) return
      const oldest = heldByPeer.keys().next().value
      if (oldest !== undefined) heldByPeer.delete(oldest)
    },
    clear() {
      digestByPosition.clear()
      heldByPeer.clear()
    },
  }
}
