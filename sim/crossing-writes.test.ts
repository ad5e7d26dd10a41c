import { expect, it } from "vitest"
import { runCrossingWrites } from "./crossing-writes.ts"

const SEEDS = 60

it("shows nothing as pending soon after three devices wrote the same entry at once", async () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    const { pendingMs, states } = await runCrossingWrites(seed)
    expect({ seed, states, isPending: pendingMs > 1_000 }).toEqual({ seed, states: 1, isPending: false })
  }
})
