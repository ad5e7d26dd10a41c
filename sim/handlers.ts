import type { MergeHandler, MergeSide, RegisterValue } from "@dunlin/core"
import { mergeFieldValues } from "@dunlin/core"
import type { SeededRandom, SimulatedClock } from "@dunlin/core/testing"

/** What a handler of a simulated application may use. */
export interface HandlerWorld {
  readonly clock: SimulatedClock
  readonly random: SeededRandom
  /** 0, or 1 on peers with another version of the application. */
  readonly version: number
}

/** Conflict handlers as applications write them, the bad ones included. */
export const HANDLERS = {
  "later-wins": () => (_earlier, later) => later,
  "field-wise": () => mergeFieldValues,
  "not-commutative": (world) => (earlier, later) => ({
    deleted: false,
    payload: { merged: `${world.version}(${textOf(earlier)}|${textOf(later)})` },
  }),
  "not-associative": () => (earlier, later) => ({
    deleted: false,
    payload: { n: (numberOf(earlier) - 2 * numberOf(later)) % 1_000_003 },
  }),
  "update-wins": () => (earlier, later) => (later.deleted ? earlier : later),
  "deletes-all": () => () => ({ deleted: true, payload: {} }),
  throwing: () => (earlier, later) => {
    if ((textOf(earlier).length + textOf(later).length) % 3 === 0) throw new Error("a bug in the handler")
    return { deleted: false, payload: { both: `${textOf(later)}${textOf(earlier).slice(0, 20)}` } }
  },
  mutating: () => (earlier, later) => {
    const spoilt = earlier.payload as Record<string, unknown>
    spoilt["n"] = -1
    spoilt["other"] = later.payload
    ;(later.payload as Record<string, unknown>)["evil"] = 1
    return { deleted: earlier.deleted && later.deleted, payload: { n: -1, last: textOf(later).slice(0, 40) } }
  },
  "invalid-output": () => (earlier, later) =>
    (textOf(earlier).length % 2 === 0 ? undefined : later) as unknown as RegisterValue,
  slow: (world) => async (earlier, later) => {
    await new Promise<void>((resolve) => {
      // Now and then slower than the limit, and then it counts as failed.
      world.clock.after((textOf(earlier).length % 7) * 60, resolve)
    })
    return { deleted: false, payload: { slow: `${hashText(textOf(earlier))}${hashText(textOf(later))}` } }
  },
  "not-deterministic": (world) => () => ({
    deleted: world.random.chance(0.1),
    payload: { chance: world.random.below(1_000_000_000) },
  }),
} satisfies Record<string, (world: HandlerWorld) => MergeHandler>

export type HandlerName = keyof typeof HANDLERS

/** Bounded, and different for different values. */
function textOf({ deleted, payload }: MergeSide): string {
  if (deleted) return "deleted"
  const text = JSON.stringify(payload)
  return text.length > 400 ? `#${hashText(text)}` : text
}

function numberOf({ payload }: MergeSide): number {
  const n = payload["n"]
  return typeof n === "number" ? n : 7
}

function hashText(text: string): number {
  let hash = 0x811c_9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193)
  return hash >>> 0
}
