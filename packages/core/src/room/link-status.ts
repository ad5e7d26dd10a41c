import type { ReplicaLinkStatus } from "../ports/replica.ts"
import type { MatchedReplicas } from "./matched-replicas.ts"
import type { RoomReplica } from "./room-replica.ts"

/** How far a peer is with one replica of the room, in the words of the public API. */
export function replicaLinkStatus(
  peer: { readonly session: string; readonly device: string },
  matched: MatchedReplicas,
  room: RoomReplica,
  pendingIn: number,
): ReplicaLinkStatus {
  const base = { peer: peer.session, device: peer.device }
  const own = matched.targets.get(room.shared.replica.name)?.own
  if (own !== undefined) {
    const { phase, pendingOut, lastSyncedAt, feed } = own
    const refused = feed.unconfirmed.refusedCount
    return { ...base, phase, pendingOut, pendingIn, refused, ...(lastSyncedAt !== null && { lastSyncedAt }) }
  }
  const nothing = { pendingOut: 0, pendingIn: 0, refused: 0 }
  const reason = matched.mismatch(room.shared)
  if (reason === null) return { ...base, phase: "waiting", ...nothing }
  return { ...base, phase: "incompatible", reason, ...nothing }
}
