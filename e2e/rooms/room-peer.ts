import { webrtc } from "@dunlin/core/webrtc"
import * as wrtc from "node-datachannel/polyfill"
import { createRoomDriver } from "./room-driver.ts"

/** A member of a room in a Node process. */
export const {
  join,
  set,
  fill,
  get,
  size,
  waitFor,
  waitForPeers,
  synced,
  facts,
  diagnostics,
  setPresence,
  others,
  reconnect,
  leave,
} = createRoomDriver(({ invite: _, replicas: __, tabs: ___, ...options }) => [webrtc({ wrtc, ...options })])
