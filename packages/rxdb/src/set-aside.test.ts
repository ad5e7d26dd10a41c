import { createState } from "@dunlin/core"
import { expect, test } from "vitest"
import { createSetAside, type Reasons } from "./set-aside.ts"

test("a list that could not be stored is stored with the next read, whatever was read", async () => {
  const records = new Map<string, string>()
  let isFull = true
  const sidecar = {
    get: async () => new Map(records),
    put: async (given: ReadonlyMap<string, string | null>) => {
      if (isFull) throw new Error("the disk is full")
      for (const [id, text] of given) if (text !== null) records.set(id, text)
    },
  }
  const setAside = createSetAside(sidecar, createState<Reasons>(new Map()))
  const trouble = { reason: "a bug", cause: null, of: "document", holdsEdit: true } as const
  await setAside.note([{ key: "x", trouble }])
  isFull = false
  await setAside.note([{ key: "another" }])
  const reasons = createState<Reasons>(new Map())
  await createSetAside(sidecar, reasons).open(() => Promise.reject(new Error("not needed")))
  expect([...reasons.get()]).toEqual([["x", "a bug"]])
})
