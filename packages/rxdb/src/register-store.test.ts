import { hashValue, type RegisterState, writeRegister } from "@dunlin/core"
import { expect, test } from "vitest"
import { joinStates } from "./register-store.ts"

test("states that contradict each other are told from those of too many sessions", () => {
  const [one, two] = ["11".repeat(8), "22".repeat(8)]
  const written = (by: string, over: string): RegisterState =>
    writeRegister(
      new Map([[over, 9]]),
      { incarnation: by, hlc: 9 },
      hashValue({ deleted: false, payload: { by } }),
    )
  expect(() => joinStates(written(one, two), written(two, one))).toThrow("each say that the other")
})
