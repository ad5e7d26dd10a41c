import type { Clock } from "../ports/clock.ts"
import type { Random } from "../ports/random.ts"

export interface HeartbeatOptions {
  readonly clock: Clock
  readonly random: Random
  readonly ping: (nonce: number) => void
  /** Nothing was heard for too long: a link can die without telling anyone. */
  readonly silent: () => void
  readonly measured: () => void
}

export interface Heartbeat {
  start(): void
  heard(): void
  pong(nonce: number): void
  readonly rttMs: number | null
  close(): void
}

/** A cut of five seconds heals by itself and must not end a link; one of 40 seconds ends it. */
const INTERVAL_MS = 15_000
const SILENCE_LIMIT_MS = 40_000

export function createHeartbeat({ clock, random, ping, silent, measured }: HeartbeatOptions): Heartbeat {
  let heardAt = clock.monotonic()
  let rttMs: number | null = null
  let out: { readonly nonce: number; readonly at: number } | null = null
  let cancel: (() => void) | null = null
  let closed = false

  const beat = (): void => {
    if (closed) return
    const now = clock.monotonic()
    if (now - heardAt > SILENCE_LIMIT_MS) {
      silent()
      return
    }
    const nonce = new DataView(random.bytes(4).buffer).getUint32(0)
    out = { nonce, at: now }
    cancel = clock.after(INTERVAL_MS * (0.9 + random.unit() * 0.2), beat)
    ping(nonce)
  }

  return {
    start: beat,
    heard() {
      heardAt = clock.monotonic()
    },
    pong(nonce) {
      if (out?.nonce !== nonce) return
      rttMs = clock.monotonic() - out.at
      out = null
      measured()
    },
    get rttMs() {
      return rttMs
    },
    close() {
      closed = true
      cancel?.()
    },
  }
}
