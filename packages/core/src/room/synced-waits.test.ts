import { expect, test } from "vitest"
import { createKeyedDigest } from "../protocol/keyed-digest.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"
import { createSyncedWaits } from "./synced-waits.ts"

test("very many waits are not looked at for each of them, nor for all that happens", async () => {
  let looks = 0
  const closing = new AbortController()
  const waits = createSyncedWaits({
    clock: createSimulatedTime().clock(),
    sessions() {
      looks++
      return []
    },
    replicas: () => [],
    digests: createKeyedDigest(new Uint8Array(32)),
    device: "0d".repeat(32),
    closing: closing.signal,
    probe: () => {},
  })
  const ended = Promise.allSettled(Array.from({ length: 100 }, () => waits.add({ signal: closing.signal })))
  await expect.poll(() => looks).toBe(100)
  waits.check(64)
  expect(looks).toBe(100)
  waits.check()
  expect(looks).toBe(200)
  closing.abort()
  expect((await ended).map(({ status }) => status)).toEqual(Array.from({ length: 100 }, () => "rejected"))
})
