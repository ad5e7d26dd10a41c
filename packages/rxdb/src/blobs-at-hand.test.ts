import type { Clock } from "@dunlin/core"
import { expect, test } from "vitest"
import { createBlobsAtHand, MAX_BYTES_AT_HAND } from "./blobs-at-hand.ts"

/** Blobs whose length is given by their key. */
function blobsAtHand() {
  let now = 0
  const clock: Clock = { now: () => now, monotonic: () => now, after: () => () => {} }
  const loaded: string[] = []
  const atHand = createBlobsAtHand(clock, async (key) => {
    loaded.push(key)
    if (key === "broken") throw new Error("the disk is gone")
    return key === "none" ? null : new Uint8Array(Number(key))
  })
  return {
    loaded,
    pass: (ms: number) => void (now += ms),
    read: (key: string) => atHand.read(key, "d"),
    release: (key: string) => atHand.release(key, "d"),
  }
}

test("blobs that are fetched in turn are loaded once, also by several at a time", async () => {
  const { loaded, read, release } = blobsAtHand()
  for (let turn = 0; turn < 3; turn++) await Promise.all(["1", "2", "2", "3"].map(read))
  expect(loaded).toEqual(["1", "2", "3"])
  release("2")
  expect((await read("2"))?.length).toBe(2)
  expect(loaded).toEqual(["1", "2", "3", "2"])
})

test("of more than there is room for, those that came first keep their place, and one more of any length", async () => {
  const { loaded, read } = blobsAtHand()
  const [half, long, longer] = [MAX_BYTES_AT_HAND / 2, MAX_BYTES_AT_HAND * 2, MAX_BYTES_AT_HAND * 3].map(
    String,
  )
  const inTurn = [half, long, longer] as [string, string, string]
  for (let turn = 0; turn < 2; turn++) for (const key of [...inTurn, longer as string]) await read(key)
  expect(loaded).toEqual([...inTurn, long, longer])
})

test("what nobody asks for any more makes room", async () => {
  const { loaded, read, pass } = blobsAtHand()
  const [all, some] = [String(MAX_BYTES_AT_HAND), "100"]
  await read(all)
  pass(31_000)
  for (const key of [some, "5", some, all]) await read(key)
  expect(loaded).toEqual([all, some, "5", all])
})

test("what is not there, or cannot be read, is looked for again", async () => {
  const { loaded, read } = blobsAtHand()
  expect([await read("none"), await read("none")]).toEqual([null, null])
  for (let time = 0; time < 2; time++) await expect(read("broken")).rejects.toThrow("the disk is gone")
  expect(loaded).toEqual(["none", "none", "broken", "broken"])
})
