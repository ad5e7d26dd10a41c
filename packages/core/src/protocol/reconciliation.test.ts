import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { createSeededRandom, type SeededRandom } from "../testing/seeded-random.ts"
import { createFingerprintIndex, type FingerprintIndex } from "./fingerprint-index.ts"
import type { RangeFrame } from "./frame.ts"
import { encodeFrame } from "./frame-codec.ts"
import { bytesToHex } from "./hex.ts"
import { CONTROL_MESSAGE_BYTES } from "./limits.ts"
import { framedBytes } from "./message.ts"
import { encodeRangeRecord } from "./range-record.ts"
import {
  answerRange,
  createReconciliation,
  type EntryFindings,
  type Reconciliation,
} from "./reconciliation.ts"

/** What one side found, as hex positions: what the other side lacks, and what differs. */
interface Side extends EntryFindings {
  readonly given: Set<string>
  readonly differing: Set<string>
}

function sideOf(index: FingerprintIndex): Side {
  const given = new Set<string>()
  const differing = new Set<string>()
  return {
    given,
    differing,
    lacksNode: (depth, prefix) =>
      index.forEachIn(depth, prefix, (position) => void given.add(bytesToHex(position))),
    lacksEntry: (position) => void given.add(bytesToHex(position)),
    differs: (position) => void differing.add(bytesToHex(position)),
  }
}

interface World {
  readonly mine: FingerprintIndex
  readonly theirs: FingerprintIndex
  readonly onlyMine: Set<string>
  readonly onlyTheirs: Set<string>
  readonly changed: Set<string>
}

function createWorld(
  random: SeededRandom,
  counts: { shared: number; mine: number; theirs: number; changed: number },
): World {
  const [mine, theirs] = [createFingerprintIndex(), createFingerprintIndex()]
  const fill = (count: number, put: (position: Uint8Array) => void): Set<string> => {
    const positions = new Set<string>()
    for (let n = 0; n < count; n++) {
      const position = random.bytes(16)
      put(position)
      positions.add(bytesToHex(position))
    }
    return positions
  }
  fill(counts.shared, (position) => {
    const digest = random.bytes(16)
    mine.set(position, digest, "k")
    theirs.set(position, digest, "k")
  })
  return {
    mine,
    theirs,
    onlyMine: fill(counts.mine, (position) => mine.set(position, random.bytes(16), "k")),
    onlyTheirs: fill(counts.theirs, (position) => theirs.set(position, random.bytes(16), "k")),
    changed: fill(counts.changed, (position) => {
      mine.set(position, random.bytes(16), "k")
      theirs.set(position, random.bytes(16), "k")
    }),
  }
}

/** How long the first answer of a turn takes, how much longer each further one, and whether the control lane is free. */
interface Path {
  readonly tookMs: number
  readonly eachMs: number
  readonly roomy: boolean
}

const FREE: Path = { tookMs: 5, eachMs: 0, roomy: true }

/** Runs both sides to the end. Returns how many requests were outstanding in each turn (frames both ways). */
function run(
  reconciliation: Reconciliation,
  answer: (request: RangeFrame) => ReturnType<typeof answerRange>,
  { tookMs, eachMs, roomy }: Path = FREE,
): readonly number[] {
  const turns: number[] = []
  let now = 0
  while (turns.length < 10_000) {
    const requests = reconciliation.requests(now, roomy)
    if (requests.length === 0) return turns
    turns.push(requests.length)
    now += tookMs
    for (const request of requests) {
      expect(framedBytes(encodeFrame(request).length)).toBeLessThanOrEqual(CONTROL_MESSAGE_BYTES)
      const { replies, ack } = answer(request)
      for (const reply of replies) {
        expect(framedBytes(encodeFrame(reply).length)).toBeLessThanOrEqual(CONTROL_MESSAGE_BYTES)
        reconciliation.replied(reply)
      }
      reconciliation.acknowledged(ack, now)
      now += eachMs
    }
  }
  throw new Error("no end")
}

function reconcile(
  world: World,
  salt = 1,
  path = FREE,
): { readonly mine: Side; readonly theirs: Side; readonly turns: readonly number[] } {
  const mine = sideOf(world.mine)
  const theirs = sideOf(world.theirs)
  const reconciliation = createReconciliation(world.mine, 0, salt, mine, true)
  const turns = run(reconciliation, (request) => answerRange(world.theirs, 0, request, theirs, true), path)
  expect(reconciliation.done).toBe(true)
  return { mine, theirs, turns }
}

const union = (a: ReadonlySet<string>, b: ReadonlySet<string>): Set<string> => new Set([...a, ...b])

const nothing: EntryFindings = { lacksNode: () => {}, lacksEntry: () => {}, differs: () => {} }

describe("two sides", () => {
  test("find every difference, and nothing else, between any two indexes", () => {
    const size = fc.oneof(fc.nat(3), fc.nat(40), fc.nat(600))
    fc.assert(
      fc.property(
        fc.record({ shared: fc.oneof(fc.nat(5), fc.nat(2_500)), mine: size, theirs: size, changed: size }),
        fc.nat(),
        fc.integer({ min: 0, max: 0xffff_ffff }),
        (counts, seed, salt) => {
          const world = createWorld(createSeededRandom(seed), counts)
          const { mine, theirs } = reconcile(world, salt)
          expect(mine.given).toEqual(world.onlyMine)
          expect(theirs.given).toEqual(world.onlyTheirs)
          expect(union(mine.differing, theirs.differing)).toEqual(world.changed)
        },
      ),
      { numRuns: 40 },
    )
  })

  test("need a handful of turns for ten differences among twenty thousand entries", () => {
    const world = createWorld(createSeededRandom("ten"), { shared: 20_000, mine: 5, theirs: 5, changed: 0 })
    expect(reconcile(world).turns.length).toBeLessThanOrEqual(4)
  })

  test("meet when one has nothing, without listing what the other has", () => {
    for (const [mine, theirs] of [
      [5_000, 0],
      [0, 5_000],
    ] as const) {
      const world = createWorld(createSeededRandom("new"), { shared: 0, mine, theirs, changed: 0 })
      const found = reconcile(world)
      expect(found.mine.given).toEqual(world.onlyMine)
      expect(found.theirs.given).toEqual(world.onlyTheirs)
      expect(found.turns.length).toBeLessThanOrEqual(2)
    }
  })

  test("meet when one has a few entries and the other thousands, as whole subtrees", () => {
    const world = createWorld(createSeededRandom("few"), { shared: 2, mine: 3, theirs: 9_000, changed: 1 })
    const singles: string[] = []
    const theirs = sideOf(world.theirs)
    const reconciliation = createReconciliation(world.mine, 0, 1, sideOf(world.mine), true)
    run(reconciliation, (request) =>
      answerRange(
        world.theirs,
        0,
        request,
        {
          ...theirs,
          lacksEntry: (position) => {
            singles.push(bytesToHex(position))
            theirs.lacksEntry(position)
          },
        },
        true,
      ),
    )
    expect(theirs.given).toEqual(world.onlyTheirs)
    expect(singles.length).toBeLessThan(6 * 64)
  })

  test("ask for nothing that they may not take", () => {
    const world = createWorld(createSeededRandom("one way"), {
      shared: 100,
      mine: 50,
      theirs: 50,
      changed: 0,
    })
    const [mine, theirs] = [sideOf(world.mine), sideOf(world.theirs)]
    const reconciliation = createReconciliation(world.mine, 0, 1, mine, false)
    run(reconciliation, (request) => answerRange(world.theirs, 0, request, theirs, true))
    expect(mine.given).toEqual(world.onlyMine)
  })

  test("come to an end though the index changes under them", () => {
    const random = createSeededRandom("moving")
    const world = createWorld(random, { shared: 3_000, mine: 300, theirs: 300, changed: 100 })
    const reconciliation = createReconciliation(world.mine, 0, 1, sideOf(world.mine), true)
    run(reconciliation, (request) => {
      for (let n = 0; n < 5; n++) {
        world.mine.set(random.bytes(16), random.bytes(16), "new")
        world.theirs.set(random.bytes(16), random.bytes(16), "new")
      }
      return answerRange(world.theirs, 0, request, sideOf(world.theirs), true)
    })
    expect(reconciliation.done).toBe(true)
  })
})

describe("a grant", () => {
  const world = createWorld(createSeededRandom("grant"), {
    shared: 0,
    mine: 4_000,
    theirs: 4_000,
    changed: 0,
  })

  test("is kept, and what it did not cover is asked again", () => {
    const theirs = sideOf(world.theirs)
    const mine = sideOf(world.mine)
    const reconciliation = createReconciliation(world.mine, 0, 1, mine, true)
    let shortened = 0
    run(reconciliation, (request) => {
      const answer = answerRange(world.theirs, 0, { ...request, grant: 30_000 }, theirs, true)
      const size = answer.replies.reduce((sum, { records }) => sum + records.length, 0)
      expect(size).toBeLessThanOrEqual(30_000)
      expect(answer.ack.answered).toBeGreaterThan(0)
      if (size > 2_000) shortened++
      return answer
    })
    expect(shortened).toBeGreaterThan(0)
    expect(mine.given).toEqual(world.onlyMine)
    expect(theirs.given).toEqual(world.onlyTheirs)
  })

  test("of nothing still gets one record answered, so that a run always goes on", () => {
    const small = createWorld(createSeededRandom("small"), { shared: 0, mine: 200, theirs: 200, changed: 0 })
    const theirs = sideOf(small.theirs)
    const reconciliation = createReconciliation(small.mine, 0, 1, sideOf(small.mine), true)
    run(reconciliation, (request) => answerRange(small.theirs, 0, { ...request, grant: 0 }, theirs, true))
    expect(theirs.given).toEqual(small.onlyTheirs)
  })

  test("overrun without end is a violation", () => {
    const reconciliation = createReconciliation(world.mine, 0, 1, nothing, true)
    const [request] = reconciliation.requests(0, true)
    const records = new Uint8Array(16_000).fill(0x40)
    const reply: RangeFrame = { ...(request as RangeFrame), reply: true, records }
    expect(() => {
      for (let n = 0; n < 20; n++) reconciliation.replied(reply)
    }).toThrow("reply exceeds its grant")
  })
})

describe("requests that are out at once", () => {
  const world = createWorld(createSeededRandom("wide"), {
    shared: 20_000,
    mine: 0,
    theirs: 0,
    changed: 4_000,
  })
  const turnsOn = (path: Path): readonly number[] => {
    const found = reconcile(world, 1, path)
    expect(union(found.mine.differing, found.theirs.differing)).toEqual(world.changed)
    return found.turns
  }

  test("are as many as there is to ask where answers come in time, and few where the way out is full", () => {
    const free = turnsOn(FREE)
    const full = turnsOn({ ...FREE, roomy: false })
    expect(Math.max(...free)).toBeGreaterThan(8)
    expect(Math.max(...free)).toBeLessThanOrEqual(32)
    expect(Math.max(...full)).toBe(4)
    expect(full.length).toBeGreaterThan(free.length)
  })

  test("are more on a long path too, once an answer took no longer than the first", () => {
    const [first, second, third] = turnsOn({ ...FREE, tookMs: 300 })
    expect([first, second]).toEqual([1, 4])
    expect(third).toBeGreaterThan(4)
  })

  test("stay few where each answer waits for the one before", () => {
    const turns = turnsOn({ tookMs: 60, eachMs: 40, roomy: true })
    expect(Math.max(...turns)).toBe(4)
  })
})

describe("a run", () => {
  const index = createWorld(createSeededRandom("run"), { shared: 0, mine: 500, theirs: 0, changed: 0 }).mine
  const ack = {
    type: "range-ack",
    slot: 0,
    salt: 1,
    sequence: 1,
    answered: 1,
    later: false,
  } as const

  test("put off by the responder asks nothing more and is not done", () => {
    const reconciliation = createReconciliation(index, 0, 1, nothing, true)
    expect(reconciliation.requests(0, true)).toHaveLength(1)
    reconciliation.acknowledged({ ...ack, answered: 0, later: true }, 0)
    expect(reconciliation.postponed).toBe(true)
    expect(reconciliation.done).toBe(false)
    expect(reconciliation.requests(0, true)).toEqual([])
  })

  test("goes to its end with a responder that asks another peer first, and says so", () => {
    const reconciliation = createReconciliation(index, 0, 1, nothing, true)
    reconciliation.requests(0, true)
    reconciliation.acknowledged({ ...ack, later: true }, 0)
    expect(reconciliation.deferred).toBe(true)
    expect(reconciliation.postponed).toBe(false)
    expect(reconciliation.done).toBe(true)
  })

  test("ends with a peer that says again and again that it answered nothing", () => {
    const reconciliation = createReconciliation(index, 0, 1, nothing, true)
    reconciliation.requests(0, true)
    expect(() => reconciliation.acknowledged({ ...ack, answered: 0 }, 0)).toThrow("answers nothing")
  })

  test("ignores frames of another run, and those that answer no request", () => {
    const reconciliation = createReconciliation(index, 0, 1, nothing, true)
    const [request] = reconciliation.requests(0, true)
    reconciliation.acknowledged({ ...ack, salt: 2 }, 0)
    reconciliation.acknowledged({ ...ack, sequence: 9 }, 0)
    reconciliation.replied({ ...(request as RangeFrame), salt: 2, records: Uint8Array.of(0xff) })
    expect(reconciliation.rounds).toBe(0)
    reconciliation.acknowledged(ack, 0)
    reconciliation.acknowledged(ack, 0)
    expect(reconciliation.rounds).toBe(1)
    expect(reconciliation.done).toBe(true)
  })

  test("holds a bounded list of what is still to ask, whatever a hostile responder replies", () => {
    const reconciliation = createReconciliation(index, 0, 1, nothing, true)
    // Each of these records of two bytes says "I list none of your five hundred entries" and is answered by 71 bytes.
    const empty = encodeRangeRecord({ type: "items", depth: 0, prefix: 0, items: [] })
    const records = new Uint8Array(4_000).map((_, at) => empty[at % empty.length] as number)
    let asked = 0
    for (let turn = 0; turn < 12; turn++) {
      for (const request of reconciliation.requests(0, true)) {
        asked += request.records.length
        reconciliation.replied({ ...request, reply: true, records })
        reconciliation.acknowledged({ ...ack, sequence: request.sequence, answered: 1_000_000 }, 0)
      }
    }
    let rest = 0
    for (
      let frames = reconciliation.requests(0, true);
      frames.length > 0;
      frames = reconciliation.requests(0, true)
    ) {
      for (const { records: left, sequence } of frames) {
        rest += left.length
        reconciliation.acknowledged({ ...ack, sequence, answered: 1_000_000 }, 0)
      }
    }
    expect(asked).toBeGreaterThan(100_000)
    expect(rest).toBeLessThanOrEqual(4_194_304)
    // It is over, but has not compared everything.
    expect([reconciliation.done, reconciliation.deferred]).toEqual([true, true])
  })

  test("with bad records throws a DecodeError on either side", () => {
    const reconciliation = createReconciliation(index, 0, 1, nothing, true)
    const [request] = reconciliation.requests(0, true)
    const bad = { ...(request as RangeFrame), records: Uint8Array.of(0xf0) }
    expect(() => reconciliation.replied(bad)).toThrow("cannot decode")
    expect(() => answerRange(index, 0, bad, nothing, true)).toThrow("cannot decode")
  })
})
