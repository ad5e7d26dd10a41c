import { createLargeRoomMember } from "./large-room-member.ts"

export const { join, write, keyCount, contentHash, arrivals, linkCount, traffic, story, leave } =
  createLargeRoomMember()
