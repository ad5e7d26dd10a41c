import type { Millis } from "@dunlin/core"

export interface TokenBucket {
  level: number
  filledAt: Millis
}

export interface BucketRate {
  readonly perSecond: number
  readonly burst: number
}

/**
 * "refused": drop the message. "flooded": the sender went on after a whole burst was refused; cut it off.
 */
export type Draw = "granted" | "refused" | "flooded"

export function createBucket(rate: BucketRate, now: Millis): TokenBucket {
  return { level: rate.burst, filledAt: now }
}

/**
 * Draws tokens from a bucket that may go into debt. What is refused is charged as well: a sender who stays above its
 * rate ends up flooded, one who pauses is forgiven.
 */
export function drawWithDebt(bucket: TokenBucket, rate: BucketRate, amount: number, now: Millis): Draw {
  fill(bucket, rate, now)
  bucket.level = Math.max(bucket.level - amount, -rate.burst)
  if (bucket.level >= 0) return "granted"
  return bucket.level > -rate.burst ? "refused" : "flooded"
}

/** Draws tokens if there are enough; otherwise leaves the bucket as it is. */
export function draw(bucket: TokenBucket, rate: BucketRate, amount: number, now: Millis): boolean {
  fill(bucket, rate, now)
  if (bucket.level < amount) return false
  bucket.level -= amount
  return true
}

/** Milliseconds until `amount` could be drawn. */
export function waitFor(bucket: TokenBucket, rate: BucketRate, amount: number): Millis {
  return Math.max(0, Math.ceil(((amount - bucket.level) / rate.perSecond) * 1000))
}

export function isFull(bucket: TokenBucket, rate: BucketRate, now: Millis): boolean {
  fill(bucket, rate, now)
  return bucket.level >= rate.burst
}

function fill(bucket: TokenBucket, rate: BucketRate, now: Millis): void {
  const elapsedMs = now - bucket.filledAt
  if (elapsedMs <= 0) return
  bucket.level = Math.min(rate.burst, bucket.level + (elapsedMs / 1000) * rate.perSecond)
  bucket.filledAt = now
}
