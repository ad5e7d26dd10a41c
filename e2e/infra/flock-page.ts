import { createFlockMember } from "./flock-member.ts"

export const { join, write, contents, paths, story, leave } = createFlockMember("web")
