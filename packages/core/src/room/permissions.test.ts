import { expect, test } from "vitest"
import { permissionsFor } from "./permissions.ts"

const directions = ["both", "send-only", "receive-only"] as const
const roles = ["writer", "reader"] as const

test("what one side may send is what the other may receive, for all directions and roles", () => {
  for (const mine of directions) {
    for (const theirs of directions) {
      for (const theirRole of roles) {
        for (const myRole of roles) {
          const here = permissionsFor(mine, { direction: theirs }, theirRole, myRole === "reader")
          const there = permissionsFor(theirs, { direction: mine }, myRole, theirRole === "reader")
          expect([here.send, here.receive]).toEqual([there.receive, there.send])
          if (mine === "receive-only" || theirs === "send-only" || myRole === "reader")
            expect(here.send).toBe(false)
          if (mine === "send-only" || theirs === "receive-only" || theirRole === "reader")
            expect(here.receive).toBe(false)
        }
      }
    }
  }
  expect(permissionsFor("both", { direction: "both" }, "writer", false)).toEqual({
    send: true,
    receive: true,
  })
})
