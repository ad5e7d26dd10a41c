import { systemClock } from "@dunlin/core"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { createAskedCode } from "./asked-code.ts"

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
})
afterEach(() => {
  vi.useRealTimers()
})

test("late answers are kept for 4,096 documents: beyond that, the first ones are asked about anew", async () => {
  const asked: string[] = []
  const late = new Promise((resolve) => setTimeout(resolve, 12_000))
  const code = createAskedCode({
    clock: systemClock(),
    leaving: new AbortController().signal,
    answered() {},
  })
  const ask = (key: string): Promise<unknown> =>
    code.ask(key, { deleted: false, payload: { text: key } }, () => {
      asked.push(key)
      return late.then(() => `answer about ${key}`)
    })
  const keys = Array.from({ length: 4_100 }, (_, index) => `document ${index}`)
  const inTime = Promise.allSettled(keys.map(ask))
  await vi.advanceTimersByTimeAsync(13_000)
  expect((await inTime).every(({ status }) => status === "rejected")).toBe(true)
  asked.length = 0
  expect(await Promise.all(keys.map(ask))).toHaveLength(4_100)
  expect(asked).toEqual(keys.slice(0, 4))
})
