import type { Clock } from "../ports/clock.ts"
import type { PresenceRelayFrame } from "../protocol/frame.ts"
import { bytesToHex, hexToBytes } from "../protocol/hex.ts"
import type { LinkSession } from "./link-session-api.ts"
import { createPresenceRelay, type PresenceSigner } from "./presence-relay.ts"
import { createPurposeTimers } from "./purpose-timers.ts"

/** Presence as it travels over the links of a room: straight to linked peers, and signed to those that are further away. */
export interface PresenceLinks {
  /** Our value. Linked peers get the last one of each tenth of a second. */
  set(value: Uint8Array | null): void
  value(): Uint8Array | null
  /** Tells a new link what is known of others. */
  opened(session: LinkSession): void
  lost(session: LinkSession): void
  /** Some peer has other links now. */
  linksChanged(): void
  relayed(from: LinkSession, frame: PresenceRelayFrame): void
  close(): void
}

export interface PresenceLinksOptions {
  readonly clock: Clock
  /** Our session id, 16 bytes. */
  readonly sessionId: Uint8Array
  /** Our device key, 64 hex digits. */
  readonly device: string
  readonly roomTag: Uint8Array
  readonly signer?: PresenceSigner
  /** By session id. */
  readonly sessions: ReadonlyMap<string, LinkSession>
  /** Another peer's value or, with `device`, a relayed one that is signed by that device. */
  readonly changed: (session: string, value: Uint8Array | null, device?: string) => void
}

/** A newcomer is soon linked to everyone, but until then looks as if it were several links away. */
const RELAY_DELAY_MS = 1_000
const INTERVAL_MS = 100
/** How many peers are remembered after their link was lost: they are told our presence again once they are seen behind others. */
const MAX_LOST = 64

export function createPresenceLinks(options: PresenceLinksOptions): PresenceLinks {
  const { clock, sessions, changed, signer, sessionId } = options
  /** Peers whose link was lost and who may still be in the room, the newest last. */
  const lostSessions = new Set<string>()
  const timers = createPurposeTimers(clock)
  let value: Uint8Array | null = null
  let sentAt = -Infinity
  let closed = false

  /** Whether somebody is several links away: a peer lacks a link that we have, or has one that we lack. */
  const hasDistantPeers = (): boolean => {
    const own = bytesToHex(sessionId)
    const isDistant = (id: string): boolean => id !== own && !sessions.has(id)
    return [...sessions.values()].some(
      (peer) => peer.lacksAny(sessions.keys()) || [...peer.linkedTo()].some(isDistant),
    )
  }

  const relay =
    signer === undefined
      ? null
      : createPresenceRelay({
          clock,
          roomTag: options.roomTag,
          session: sessionId,
          device: hexToBytes(options.device),
          signer,
          send(frame, from) {
            const source = from === null ? undefined : sessions.get(from)
            for (const session of sessions.values()) {
              if (session === source || source?.linkedTo().has(session.session)) continue
              session.relayPresence(frame)
              session.flush()
            }
          },
          isLinked: (session) => sessions.has(session),
          isNeeded: hasDistantPeers,
          changed: (session, device, relayed) => changed(session, relayed, device),
        })

  /** Where everyone is linked to everyone, nobody needs to be told about third peers. */
  const relayOwn = (): void => {
    if (!hasDistantPeers()) return
    // A peer that lost its link to us forgot the presence it was told over that link.
    const lost = [...lostSessions].filter((id) =>
      [...sessions.values()].some((peer) => peer.linkedTo().has(id)),
    )
    for (const id of lost) lostSessions.delete(id)
    relay?.publish(value, lost.length > 0)
  }
  const linksChanged = (): void => timers.startOnce("relay", RELAY_DELAY_MS, relayOwn)

  const send = (): void => {
    relayOwn()
    sentAt = clock.monotonic()
    for (const session of sessions.values()) {
      session.sendPresence(value)
      session.flush()
    }
  }

  return {
    set(next) {
      value = next
      if (closed) return
      const dueInMs = sentAt + INTERVAL_MS - clock.monotonic()
      if (dueInMs <= 0) send()
      else timers.startOnce("presence", dueInMs, send)
    },
    value: () => value,
    opened(session) {
      lostSessions.delete(session.session)
      for (const frame of relay?.recent() ?? []) session.relayPresence(frame)
    },
    lost({ session }) {
      changed(session, null)
      for (const oldest of lostSessions) if (lostSessions.size >= MAX_LOST) lostSessions.delete(oldest)
      lostSessions.add(session)
      linksChanged()
    },
    linksChanged,
    relayed: ({ session }, frame) => relay?.received(session, frame),
    close() {
      closed = true
      timers.close()
      relay?.close()
    },
  }
}
