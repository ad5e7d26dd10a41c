import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { createPatience, NoAnswerError } from "./patience.ts"

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const never = (): Promise<never> => new Promise(() => {})
const verdict = async (work: Promise<unknown>): Promise<string> =>
  work.then(String, (error: Error) => `${error.name}: ${error.message}`)

test("a call that does not answer is given up, and those behind it sooner until it has answered", async () => {
  const patience = createPatience(new AbortController().signal)
  let answer = (): void => {}
  const first = verdict(patience(new Promise<void>((resolve) => (answer = resolve))))
  await vi.advanceTimersByTimeAsync(10_000)
  expect(await first).toBe("NoAnswerError: no answer within 10 s")
  const second = verdict(patience(new Promise((resolve) => setTimeout(() => resolve("late"), 5_000))))
  await vi.advanceTimersByTimeAsync(100)
  expect(await second).toBe("NoAnswerError: no answer within 0.1 s")
  answer()
  await vi.advanceTimersByTimeAsync(5_000)
  const third = verdict(patience(new Promise((resolve) => setTimeout(() => resolve("slow"), 9_000))))
  await vi.advanceTimersByTimeAsync(9_000)
  expect(await third).toBe("slow")
  expect(vi.getTimerCount()).toBe(0)
})

test("nothing is waited for once the room is left", async () => {
  const leaving = new AbortController()
  const patience = createPatience(leaving.signal)
  const before = patience(never())
  leaving.abort()
  await expect(before).rejects.toThrow(NoAnswerError)
  await expect(patience(never())).rejects.toThrow(NoAnswerError)
  expect(vi.getTimerCount()).toBe(0)
})

test("what the code throws is thrown", async () => {
  const patience = createPatience(new AbortController().signal)
  await expect(patience(Promise.reject(new RangeError("no")))).rejects.toThrow(RangeError)
})
