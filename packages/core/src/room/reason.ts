import { MAX_REASON_BYTES } from "../protocol/limits.ts"

/** A reason cut to what a frame can carry: a UTF-16 unit takes at most three bytes. */
export function reasonForWire(reason: string): string {
  return reason.slice(0, Math.floor(MAX_REASON_BYTES / 3))
}
