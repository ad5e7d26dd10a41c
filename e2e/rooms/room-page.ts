import { tabs } from "@dunlin/core/tabs"
import { webrtc } from "@dunlin/core/webrtc"
import { reachBy } from "./room-member.ts"

/** A member of a room in a page. */
export * from "./room-member.ts"

reachBy(({ tabs: shared = false, webrtc: reach }) => [
  ...(shared === false ? [] : [tabs()]),
  ...(shared === "alone" ? [] : [webrtc(reach)]),
])
