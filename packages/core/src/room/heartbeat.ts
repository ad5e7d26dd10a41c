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
  /** Somebody says that the peer is gone: asks it at once, and reports silence if it does not answer soon. */
  doubt(): void
  readonly rttMs: number | null
  close(): void
}

/** A cut of five seconds heals by itself and must not end a link; one of 40 seconds ends it. */
const INTERVAL_MS = 15_000
const SILENCE_LIMIT_MS = 40_000
/** A peer that is said to be gone must answer within this, or within four round trips if those take longer. */
const DOUBT_LIMIT_MS = 1_500

export function createHeartbeat({ clock, random, ping, silent, measured }: HeartbeatOptions): Heartbeat {
  let heardAt = clock.monotonic()
  let rttMs: number | null = null
  let out: { readonly nonce: number; readonly at: number } | null = null
  let cancel: (() => void) | null = null
  let cancelDoubt: (() => void) | null = null
  let closed = false

  const ask = (): void => {
    const nonce = new DataView(random.bytes(4).buffer).getUint32(0)
    out = { nonce, at: clock.monotonic() }
    ping(nonce)
  }

  const beat = (): void => {
    const now = clock.monotonic()
    if (now - heardAt > SILENCE_LIMIT_MS) {
      silent()
      return
    }
    cancel = clock.after(INTERVAL_MS * (0.9 + random.unit() * 0.2), beat)
    ask()
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
    doubt() {
      if (closed || cancelDoubt !== null) return
      const doubtedAt = clock.monotonic()
      cancelDoubt = clock.after(Math.max(DOUBT_LIMIT_MS, 4 * (rttMs ?? 0)), () => {
        cancelDoubt = null
        if (heardAt <= doubtedAt) silent()
      })
      ask()
    },
    get rttMs() {
      return rttMs
    },
    close() {
      closed = true
      cancel?.()
      cancelDoubt?.()
    },
  }
}
