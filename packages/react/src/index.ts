/**
 * Hooks for rooms.
 *
 * @module @dunlin/react
 */
export { RoomProvider, type RoomProviderProps } from "./room-provider.ts"
export { RoomProviderError, type RoomProviderErrorCode } from "./room-provider-error.ts"
export { useRoom } from "./room-context.ts"
export { usePeers } from "./use-peers.ts"
export { usePresence, type PresenceHandle } from "./use-presence.ts"
export { useStateValue } from "./use-state-value.ts"
export { useSyncStatus } from "./use-sync-status.ts"
