import * as fc from "fast-check"
import { expect, test } from "vitest"
import { createBucket, draw, drawWithDebt, isFull, waitFor } from "./token-bucket.ts"

const rate = { perSecond: 20, burst: 100 }

test("grants a burst, then the rate", () => {
  const bucket = createBucket(rate, 0)
  for (let index = 0; index < 100; index++) expect(draw(bucket, rate, 1, 0)).toBe(true)
  expect(draw(bucket, rate, 1, 0)).toBe(false)
  expect(waitFor(bucket, rate, 1)).toBe(50)
  expect(draw(bucket, rate, 1, 50)).toBe(true)
  expect(draw(bucket, rate, 1, 50)).toBe(false)
})

test("a sender above its rate is refused first, and cut off when it goes on", () => {
  const bucket = createBucket(rate, 0)
  const seen = Array.from({ length: 250 }, () => drawWithDebt(bucket, rate, 1, 0))
  expect(seen.filter((draw) => draw === "granted")).toHaveLength(100)
  expect(seen.indexOf("refused")).toBe(100)
  expect(seen.indexOf("flooded")).toBe(199)
})

test("a pause forgives", () => {
  const bucket = createBucket(rate, 0)
  for (let index = 0; index < 150; index++) drawWithDebt(bucket, rate, 1, 0)
  expect(drawWithDebt(bucket, rate, 1, 2000)).toBe("refused")
  expect(drawWithDebt(bucket, rate, 1, 60_000)).toBe("granted")
  expect(isFull(bucket, rate, 120_000)).toBe(true)
})

test("whatever the times, no more is granted than burst and rate allow", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(500), { maxLength: 300 }), (gaps) => {
      const bucket = createBucket(rate, 0)
      let now = 0
      let granted = 0
      for (const gap of gaps) {
        now += gap
        if (drawWithDebt(bucket, rate, 1, now) === "granted") granted += 1
      }
      expect(granted).toBeLessThanOrEqual(rate.burst + (now / 1000) * rate.perSecond)
    }),
  )
})

test("a clock that steps back gives nothing away", () => {
  const bucket = createBucket(rate, 1000)
  for (let index = 0; index < 100; index++) draw(bucket, rate, 1, 1000)
  expect(draw(bucket, rate, 1, 0)).toBe(false)
})
