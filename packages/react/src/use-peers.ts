import type { Peer } from "@dunlin/core"
import { useRoom } from "./room-context.ts"
import { useStateValue } from "./use-state-value.ts"

const NOBODY: readonly Peer[] = []

/** The peers of the room: path, stage, round-trip time, what is pending. */
export function usePeers(): readonly Peer[] {
  return useStateValue(useRoom()?.peers ?? null, NOBODY)
}
