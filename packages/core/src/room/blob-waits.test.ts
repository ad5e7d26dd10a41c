import { expect, test } from "vitest"
import { connect, createNode, meddled } from "../../test/simulated-engines.ts"
import type { BlobRef, BlobStore, JoinOutcome } from "../ports/replica.ts"
import { createSimulatedTime } from "../testing/simulated-clock.ts"

const blob: BlobRef = { digest: new Uint8Array(32).fill(4), size: 4_000 }
const bytes = new Uint8Array(blob.size)

/** Holds the blob of every entry. */
const holding: BlobStore = {
  missing: async () => [],
  read: async () => bytes,
  write: async () => "complete",
}

test("entries that wait for blobs leave the link credit for chunks and for what comes after them", async () => {
  const time = createSimulatedTime()
  const [a, b] = [createNode(time, "a"), createNode(time, "b")]
  const here = new Set<string>()
  const arriving: BlobStore = {
    missing: async (key) => (here.has(key) ? [] : [0]),
    read: async () => null,
    write: async (key) => {
      here.add(key)
      return "complete"
    },
  }
  const left = await a.engine.replicate(meddled(() => ({ blobs: holding })))
  const right = await b.engine.replicate(
    meddled(({ join }) => ({
      blobs: arriving,
      async join(entries, peer) {
        const whole = entries.filter(({ key }) => here.has(key) || !key.startsWith("with"))
        const outcomes = [...(await join(whole, peer))]
        const lacking: JoinOutcome = { type: "missing-blobs", blobs: [blob] }
        return entries.map((entry) => (whole.includes(entry) ? (outcomes.shift() ?? lacking) : lacking))
      },
    })),
  )
  // Their keys take credit, too, so the entries take more of it than their deltas show.
  const keys = Array.from({ length: 5_000 }, (_, index) => `with ${index} ${"long ".repeat(100)}`)
  for (const key of keys) await left.set(key, { n: 1 })
  connect(time, [a, b])
  await time.runFor(1_000)
  await left.set("small", { n: 1 })
  await time.runFor(5_000)
  expect(right.get("small")).toEqual({ n: 1 })
  await time.runFor(20_000)
  expect(here.size).toBe(keys.length)
})
