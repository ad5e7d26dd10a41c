import type { RoomStatus } from "@dunlin/core"
import { useRoom } from "./room-context.ts"
import { useStateValue } from "./use-state-value.ts"

/** Who is reachable, what is pending, what is wrong; null until the room is open. */
export function useSyncStatus(): RoomStatus | null {
  return useStateValue<RoomStatus | null>(useRoom()?.status ?? null, null)
}
