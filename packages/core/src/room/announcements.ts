import { MAX_ITEMS } from "../protocol/limits.ts"
import type { HaveItem } from "../protocol/frame.ts"
import { mapKey, mapKeyBytes } from "../protocol/map-key.ts"
import type { Outbox } from "../protocol/outbox.ts"
import type { PurposeTimers } from "./purpose-timers.ts"

/** HAVE frames to one peer for one replica: they tell of an entry, and confirm that it is held. */
export interface Announcements {
  /** Says HAVE after at most `delayMs`, with what has gathered by then. */
  add(position: Uint8Array, digest: Uint8Array, delayMs: number): void
  clear(): void
}

const CONGESTED_RETRY_MS = 200

export function createAnnouncements({
  slot,
  outbox,
  timers,
}: {
  readonly slot: number
  readonly outbox: Outbox
  readonly timers: PurposeTimers
}): Announcements {
  const digestByPosition = new Map<string, Uint8Array>()

  const send = (): void => {
    let items: HaveItem[] = []
    const say = (): void => {
      outbox.control({ type: "have", slot, items })
      items = []
    }
    // Said even when the peer is known to hold it: to the peer it is the confirmation that we do.
    for (const [key, digest] of digestByPosition) {
      if (items.length === 0 && !outbox.wantsControl) break
      digestByPosition.delete(key)
      if (items.push({ position: mapKeyBytes(key), digest }) === MAX_ITEMS / 2) say()
    }
    if (items.length > 0) say()
    if (digestByPosition.size > 0) timers.start("announce", CONGESTED_RETRY_MS, send)
  }

  return {
    add(position, digest, delayMs) {
      digestByPosition.set(mapKey(position), digest)
      // Without delay, but together with all that is announced at the same moment: a bulk insert is one frame, not ten thousand.
      if (delayMs === 0) timers.start("announce", 0, send)
      else timers.startOnce("announce", delayMs, send)
    },
    clear: () => digestByPosition.clear(),
  }
}
