import type { Transport } from "@dunlin/core"
import { createRoomDriver, type JoinOptions } from "./room-driver.ts"

let transports: (options: JoinOptions) => readonly Transport[] = () => []

/** Sets how the member of this page or process reaches others; call it before joining. */
export function reachBy(reach: (options: JoinOptions) => readonly Transport[]): void {
  transports = reach
}

export const {
  join,
  set,
  fill,
  get,
  size,
  waitFor,
  waitForPeers,
  waitForTab,
  synced,
  facts,
  tick,
  watchTicks,
  ticks,
  diagnostics,
  setPresence,
  others,
  waitForOthers,
  reconnect,
  leave,
} = createRoomDriver((options) => transports(options))
