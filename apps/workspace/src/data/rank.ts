import { generateKeyBetween } from "fractional-indexing"
import { randomId } from "../device/random-id.ts"

export interface Ranked {
  readonly id: string
  readonly rank: string
}

export function byRank(a: Ranked, b: Ranked): number {
  if (a.rank !== b.rank) return a.rank < b.rank ? -1 : 1
  return a.id < b.id ? -1 : Number(a.id > b.id)
}

/**
 * A rank between two neighbours, null at either end. The random tail keeps two devices that insert at the same
 * place from choosing the same rank, after which nothing could ever go between the two.
 */
export function rankBetween(before: string | null, after: string | null, tail: string = rankTail()): string {
  const upper = before !== null && after !== null && before >= after ? null : after
  const key = keyBetween(before, upper)
  const spread = key + tail
  return upper === null || spread < upper ? spread : key
}

/** `count` ranks in order, after all of `last`. */
export function ranksAfter(last: string | null, count: number): readonly string[] {
  const ranks: string[] = []
  for (let previous = last; ranks.length < count; previous = ranks.at(-1) ?? null) {
    ranks.push(rankBetween(previous, null))
  }
  return ranks
}

/** The rank that puts `moved` at `index` in `column`, which is in order and may already contain it. */
export function rankAt(column: readonly Ranked[], moved: string, index: number): string {
  const others = column.filter((entry) => entry.id !== moved)
  return rankBetween(others[index - 1]?.rank ?? null, others[index]?.rank ?? null)
}

function keyBetween(before: string | null, after: string | null): string {
  try {
    return generateKeyBetween(before, after)
  } catch {
    // A neighbour's rank came from a stranger and is not a valid key. Order by a plain suffix instead.
    return `${before ?? "a0"}V`
  }
}

/** The last digit must not be zero: a key that ends in zero has no predecessor. */
function rankTail(): string {
  return `${randomId(2)}${1 + ((crypto.getRandomValues(new Uint8Array(1))[0] ?? 0) % 9)}`
}
