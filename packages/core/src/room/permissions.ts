import type { Direction } from "../ports/replica.ts"
import type { AnnounceFrame } from "../protocol/frame.ts"
import type { PeerRole } from "./room.ts"

/** Which way entries of one replica travel between this device and a peer, given the directions and roles of both sides. */
export interface Permissions {
  readonly send: boolean
  readonly receive: boolean
}

/** Both sides come to the same answer. `role` is the peer's role here; `refusesEntries` says that we are a reader there. */
export function permissionsFor(
  direction: Direction,
  theirs: Pick<AnnounceFrame, "direction">,
  role: PeerRole,
  refusesEntries: boolean,
): Permissions {
  const mayReceive = direction !== "send-only" && theirs.direction !== "receive-only"
  const maySend = direction !== "receive-only" && theirs.direction !== "send-only"
  return { send: maySend && !refusesEntries, receive: mayReceive && role === "writer" }
}
