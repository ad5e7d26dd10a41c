import type { Peer, PresenceEntry } from "@dunlin/core"
import { cleanHue, cleanName } from "../device/profile.ts"

/** Somebody in the room: the usable part of their presence. */
export interface Person {
  readonly session: string
  readonly name: string
  readonly hue: number
  /** The document they are looking at, if any. */
  readonly document: string | null
  /** Their clock minus ours when their presence arrived, in milliseconds; null if they do not send it. */
  readonly clockAheadMs: number | null
}

/** How this device is connected to somebody. */
export interface PeerFacts {
  readonly path: Peer["path"]
  readonly rttMs: number | null
  readonly pending: number
  /** Changes that cannot be delivered to them. */
  readonly refused: number
  readonly isSynced: boolean
  readonly lastSyncedAt: number | null
  /** Replicas that wait because the other side has another version of the app. */
  readonly incompatible: readonly string[]
}

export interface ConnectedPerson extends Person {
  readonly facts: PeerFacts
}

/** Everybody connected from another browser. Further tabs of this browser do not count as people. */
export function connectedPeople(
  peers: readonly Peer[],
  people: ReadonlyMap<string, Person>,
): readonly ConnectedPerson[] {
  return peers
    .filter((peer) => peer.path !== "tab" && (peer.stage === "live" || peer.stage === "reconcile"))
    .map((peer) => {
      const unknown = {
        session: peer.session,
        name: "Connecting…",
        hue: 7,
        document: null,
        clockAheadMs: null,
      }
      return { ...(people.get(peer.session) ?? unknown), facts: factsOf(peer) }
    })
}

function factsOf(peer: Peer): PeerFacts {
  const { path, rttMs, pendingIn, pendingOut, refused, lastSyncedAt, stage, replicas } = peer
  const incompatible = [...replicas].filter(([, link]) => link.phase === "incompatible").map(([name]) => name)
  const pending = pendingIn + pendingOut
  const isSynced = stage === "live" && pending + refused + incompatible.length === 0
  return { path, rttMs, pending, refused, isSynced, lastSyncedAt, incompatible }
}

const CLOCK_TOLERANCE_MS = 5 * 60_000

/** Presence is hostile input: the fields used here are checked, and all others are ignored. */
export function readPerson(entry: PresenceEntry, receivedAt: number): Person {
  const { name, hue, document, clock } = entry.value
  return {
    session: entry.session,
    name: cleanName(name) || "Someone",
    hue: cleanHue(hue),
    document: typeof document === "string" && document.length <= 64 ? document : null,
    clockAheadMs: typeof clock === "number" && Number.isFinite(clock) ? clock - receivedAt : null,
  }
}

/** "a day ahead": how far a clock is off, in words; null within tolerance. */
export function clockWords(aheadMs: number | null): string | null {
  if (aheadMs === null || Math.abs(aheadMs) < CLOCK_TOLERANCE_MS) return null
  const minutes = Math.round(Math.abs(aheadMs) / 60_000)
  const amount = minutes < 120 ? `${minutes} minutes` : minutes < 2_880 ? `${Math.round(minutes / 60)} hours` : `${Math.round(minutes / 1_440)} days` // prettier-ignore
  return `${amount} ${aheadMs > 0 ? "ahead" : "behind"}`
}
