import { expect, test } from "vitest"
import { createRefusals } from "./refusals.ts"

test("as many entries as a peer puts off before it acknowledges any are not confirmed by that, each once", () => {
  const refusals = createRefusals()
  const entries = Array.from({ length: 10_000 }, (_, n) => {
    const position = new Uint8Array(16)
    new DataView(position.buffer).setUint32(0, n)
    return [position, new Uint8Array(8).fill(n)] as const
  })
  for (const [position, digest] of entries) refusals.putOff(position, digest)
  expect(entries.filter(([position, digest]) => refusals.takePutOff(position, digest))).toHaveLength(10_000)
  expect(entries.filter(([position, digest]) => refusals.takePutOff(position, digest))).toEqual([])
})

test("of very many refused entries the oldest are forgotten, and then asked for and refused once more", () => {
  const refusals = createRefusals()
  const digest = new Uint8Array(8)
  const position = (n: number): Uint8Array => Uint8Array.of(n >> 8, n & 255, ...new Uint8Array(14))
  for (let n = 0; n < 4_097; n++) refusals.decline(position(n), digest, undefined)
  expect([0, 1, 4_096].map((n) => refusals.hasDeclined(position(n), 0))).toEqual([false, true, true])
  expect(refusals.hasDeclined(position(1), 1)).toBe(false)
})
