import type { Context } from "./dot.ts"

/**
 * Hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014) in one number: milliseconds since 1970 × 2048 + counter.
 * Exact in a JavaScript number until the year 2109.
 */
const HLC_TICKS_PER_MS = 2048
export const MAX_HLC: number = Number.MAX_SAFE_INTEGER
/** Documents older than Dunlin count as written at this clock. */
export const BIRTH_HLC = 1
/** How far ahead of its own wall clock a device follows the clocks of others. */
export const MAX_CLOCK_LEAD_MS: number = 5 * 60 * 1000

/** The first clock of this millisecond since 1970; for times out of range, the nearest possible clock. */
export function hlcFromMillis(millis: number): number {
  return Math.min(MAX_HLC, Math.max(0, Math.floor(millis)) * HLC_TICKS_PER_MS)
}

/** Milliseconds since 1970 by the writer's clock, or by a clock that it followed. */
export function millisFromHlc(hlc: number): number {
  return Math.floor(hlc / HLC_TICKS_PER_MS)
}

/** The highest clock that a device at wall-clock time `nowMs` adopts from others. */
export function clockLimit(nowMs: number): number {
  return hlcFromMillis(nowMs + MAX_CLOCK_LEAD_MS)
}

/** The newest clock in a context; 0 for an empty one. */
export function latest(context: Context): number {
  let highest = 0
  for (const hlc of context.values()) if (hlc > highest) highest = hlc
  return highest
}
