import { tabs } from "@dunlin/core/tabs"
import { webrtc } from "@dunlin/core/webrtc"
import { createRoomDriver } from "./room-driver.ts"

/** A member of a room in a page. */
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
} = createRoomDriver((options) => [...(options.tabs === true ? [tabs()] : []), webrtc(options.webrtc)])
