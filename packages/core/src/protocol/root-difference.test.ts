import { expect, test } from "vitest"
import { createSeededRandom } from "../testing/seeded-random.ts"
import { createFingerprintIndex } from "./fingerprint-index.ts"
import { differenceOf } from "./root-difference.ts"

const random = createSeededRandom("difference")

test("stays the same while both sides apply the same changes, and shows any other", () => {
  const [mine, theirs] = [createFingerprintIndex(), createFingerprintIndex()]
  const rootOf = (): { root: Uint8Array; count: number } => ({ root: theirs.root(), count: theirs.count })
  mine.set(random.bytes(16), random.bytes(16), "refused there")
  const shared = random.bytes(16)
  mine.set(shared, random.bytes(16), "k")
  theirs.set(shared, mine.get(shared)?.digest as Uint8Array, "k")
  const before = differenceOf(mine, rootOf())
  for (let n = 0; n < 20; n++) {
    const position = n % 3 === 0 ? shared : random.bytes(16)
    const digest = random.bytes(16)
    mine.set(position, digest, "k")
    theirs.set(position, digest, "k")
  }
  expect(differenceOf(mine, rootOf())).toBe(before)
  theirs.set(shared, random.bytes(16), "k")
  expect(differenceOf(mine, rootOf())).not.toBe(before)
})
