import { createState } from "@dunlin/core"
import { expect, test } from "vitest"
import { createSetAside, type Reasons } from "./set-aside.ts"

const trouble = { reason: "a bug", cause: null, of: "document", holdsEdit: true } as const

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
  await setAside.note([{ key: "x", trouble }])
  isFull = false
  await setAside.note([{ key: "another" }])
  const reasons = createState<Reasons>(new Map())
  await createSetAside(sidecar, reasons).open(() => Promise.reject(new Error("not needed")))
  expect([...reasons.get()]).toEqual([["x", "a bug"]])
})

test("the next start knows 70,000 without reading all documents, and a change stores no more than a part of the list", async () => {
  const records = new Map<string, string>()
  let stored = 0
  const sidecar = {
    get: async () => new Map(records),
    put: async (given: ReadonlyMap<string, string | null>) => {
      for (const [id, text] of given) {
        stored += text?.length ?? 0
        if (text === null) records.delete(id)
        else records.set(id, text)
      }
    },
  }
  const keys = Array.from({ length: 70_000 }, (_, index) => `document ${index}`)
  const first = createSetAside(sidecar, createState<Reasons>(new Map()))
  await first.note(keys.map((key) => ({ key, trouble })))
  const storedOnce = stored
  await first.note([{ key: "document 7" }])
  expect(stored - storedOnce).toBeLessThan(storedOnce / 120)

  const reasons = createState<Reasons>(new Map())
  const next = createSetAside(sidecar, reasons)
  await next.open(() => Promise.reject(new Error("not needed")))
  expect(reasons.get().size).toBe(69_999)
  await next.note(keys.map((key) => ({ key })))
  expect(records.size).toBe(0)
})

test.each(["", "{"])("a damaged part makes one start read all documents: %j", async (text) => {
  const records = new Map([["aside-7", text]])
  const sidecar = {
    get: async () => new Map(records),
    put: async (given: ReadonlyMap<string, string | null>) => {
      for (const id of given.keys()) records.delete(id)
    },
  }
  let times = 0
  for (let start = 0; start < 2; start++)
    await createSetAside(sidecar, createState<Reasons>(new Map())).open(async () => void times++)
  expect(times).toBe(1)
})
