import type { AuthenticatedPeer } from "@dunlin/core"
import { refuseMembers } from "./refused-members.ts"

/** A peer as `isPeerValid` and `peerStates$` show it: the same object as long as it is connected. */
export interface SimplePeer extends StreamMembers {
  /** Session id, 32 hex digits: a new one at each start of the peer. */
  readonly id: string
  /** The session id under RxDB's name. */
  readonly remotePeerId: string
  /** The session id under Dunlin's name. */
  readonly session: string
  /** Device public key, 64 hex digits: authenticated, and the same at each start. */
  readonly device: string
  /** How it is connected; null when it no longer is. */
  readonly path: AuthenticatedPeer["path"] | null
  /** Whether it shares the collection now. */
  readonly connected: boolean
}

/** RxDB's peers are simple-peer streams. Reading one of these throws `DropInError` "unsupported", with what to do. */
interface StreamMembers {
  readonly send: (data: unknown) => void
  readonly write: (data: unknown) => boolean
  readonly signal: (data: unknown) => void
  readonly destroy: (error?: Error) => void
  readonly on: Listen
  readonly once: Listen
  readonly off: Listen
  readonly addListener: Listen
  readonly removeListener: Listen
  readonly addStream: (stream: MediaStream) => void
  readonly removeStream: (stream: MediaStream) => void
  readonly addTrack: (track: MediaStreamTrack, stream: MediaStream) => void
  readonly removeTrack: (track: MediaStreamTrack, stream: MediaStream) => void
}

type Listen = (event: string, listener: (...given: never[]) => void) => void

const EVENTS = "peers come and go in pool.peerStates$, and what is wrong is in pool.error$"
const MEDIA = "open a connection of your own for media, with signals in room.presence of @dunlin/core"
const INSTEAD: Readonly<Record<keyof StreamMembers, string>> = {
  send: "messages of your own go by room.presence of @dunlin/core",
  write: "messages of your own go by room.presence of @dunlin/core",
  signal: "signals are exchanged by themselves",
  destroy: "keep a peer out with isPeerValid, or cancel the pool",
  on: EVENTS,
  once: EVENTS,
  off: EVENTS,
  addListener: EVENTS,
  removeListener: EVENTS,
  addStream: MEDIA,
  removeStream: MEDIA,
  addTrack: MEDIA,
  removeTrack: MEDIA,
}

export interface KnownPeer {
  readonly session: string
  readonly device: string
}

export interface PeerBook {
  /** The one object for a session: applications use it as a key in their own maps. */
  peerOf(known: KnownPeer): SimplePeer
}

/** Limits sessions that were asked about and never came. */
const MAX_SESSIONS = 1_024

export function createPeerBook(now: {
  path(session: string): AuthenticatedPeer["path"] | null
  isConnected(session: string): boolean
}): PeerBook {
  const peersBySession = new Map<string, SimplePeer>()
  return {
    peerOf({ session, device }) {
      const known = peersBySession.get(session)
      // A session id is only claimed, a device key is proven.
      if (known?.device === device) return known
      const made = {
        id: session,
        remotePeerId: session,
        session,
        device,
        get path() {
          return now.path(session)
        },
        get connected() {
          return now.isConnected(session)
        },
      }
      refuseMembers(made, "SimplePeer", INSTEAD)
      const peer = made as SimplePeer
      peersBySession.delete(session)
      peersBySession.set(session, peer)
      for (const eldest of peersBySession.keys()) {
        if (peersBySession.size <= MAX_SESSIONS) break
        peersBySession.delete(eldest)
      }
      return peer
    },
  }
}
