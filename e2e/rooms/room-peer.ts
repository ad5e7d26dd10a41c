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
  waitForOthers,
  reconnect,
  leave,
} = createRoomDriver((options) => [webrtc({ wrtc, ...options.webrtc })])
