import type { WantedTable } from "../protocol/wanted-table.ts"
import type { LinkReplica } from "./link-replica-api.ts"
import type { ReconcileLease } from "./reconcile-lease.ts"
import type { SharedReplica } from "./shared-replica.ts"

/** A replica of the room with what all its links share. */
export interface RoomReplica {
  readonly shared: SharedReplica
  readonly wanted: WantedTable
  readonly lease: ReconcileLease
}

/** A replica of the room on one link. */
export interface LinkTarget {
  readonly room: RoomReplica
  readonly own: LinkReplica
}
