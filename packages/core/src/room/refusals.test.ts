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
