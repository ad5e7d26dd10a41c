import * as wrtc from "node-datachannel/polyfill"
import { createFlockMember } from "./flock-member.ts"

export { newInvite } from "./flock-member.ts"
export const { join, write, contents, paths, story, leave } = createFlockMember(
  process.env["MEMBER"] ?? "node",
  wrtc,
)
