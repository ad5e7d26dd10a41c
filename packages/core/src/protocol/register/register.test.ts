import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { decodeDelta, decodeSummary, encodeDelta, encodeSummary } from "./codec.ts"
import { compareDots, covers } from "./dot.ts"
import {
  deltaFor,
  EMPTY_REGISTER,
  joinRegister,
  needsFold,
  pushDelta,
  type RegisterDelta,
  type RegisterJoin,
  type RegisterState,
  summarizeRegister,
  wholeDelta,
  writeRegister,
} from "./register.ts"
import { stateHash } from "./state-hash.ts"
import { hashValue } from "./value.ts"
import { foldView, laterWins } from "./view.ts"

type Joined = Extract<RegisterJoin, { type: "joined" }>

/** Three authors write, and receive each other's states, in any order: the reachable states of one document. */
interface Step {
  readonly author: number
  readonly from: number | null
  readonly deleted: boolean
  readonly text: string
}

const incarnations = ["00000000000000aa", "00000000000000bb", "00000000000000cc"] as const

const histories = fc.array(
  fc.record({
    author: fc.nat(2),
    from: fc.option(fc.nat(2), { nil: null }),
    deleted: fc.boolean(),
    text: fc.string({ maxLength: 8 }),
  }),
  { minLength: 1, maxLength: 14 },
)

describe("register", () => {
  test("join is commutative, associative and idempotent over reachable states", async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (steps) => {
        const [a, b, c] = (await play(steps)) as [RegisterState, RegisterState, RegisterState]
        const hash = (state: RegisterState): string => Buffer.from(stateHash(state)).toString("hex")
        expect(hash(await merge(a, b))).toBe(hash(await merge(b, a)))
        expect(hash(await merge(await merge(a, b), c))).toBe(hash(await merge(a, await merge(b, c))))
        expect(hash(await merge(a, a))).toBe(hash(a))
        expect(joined(a, wholeDelta(a)).changed).toBe(false)
      }),
      { numRuns: 500 },
    )
  })

  test("a delta made for a reader's summary says all that the whole state does, and survives the wire", async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (steps) => {
        const [a, b] = (await play(steps)) as [RegisterState, RegisterState, RegisterState]
        const summary = decodeSummary(encodeSummary(summarizeRegister(a)))
        const small = decodeDelta(encodeDelta(deltaFor(b, summary)))
        const viaDelta = await folded(joined(a, small).state)
        expect(stateHash(viaDelta)).toEqual(stateHash(await merge(a, b)))
        expect(small.siblings.every((sibling) => !covers(a.context, sibling.dot))).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  test("a context without a write erases nothing", async () => {
    const held = writeRegister(
      new Map(),
      { incarnation: "aaaaaaaaaaaaaaaa", hlc: 5_000 },
      value("kept", false),
    )
    const context = new Map([["aaaaaaaaaaaaaaaa", 9_000]])
    const bare = { complete: true, context, dots: [], siblings: [], view: null, fingerprint: null }
    expect(joinRegister(held, bare)).toEqual({ type: "contradicts" })
    const covered = { ...bare, dots: [{ incarnation: "aaaaaaaaaaaaaaaa", hlc: 4_000 }] }
    expect(joinRegister(held, covered)).toEqual({ type: "contradicts" })
  })

  test("senderLacks is null exactly when the sender's state is what the join gives", async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (steps) => {
        const [a, b] = (await play(steps)) as [RegisterState, RegisterState, RegisterState]
        const result = joined(a, deltaFor(b, summarizeRegister(a)))
        const after = await folded(result.state)
        const equal = Buffer.from(stateHash(after)).equals(stateHash(b))
        expect(result.senderLacks === null).toBe(equal)
        if (result.senderLacks === null) return
        const back = joined(b, decodeDelta(encodeDelta(deltaFor(after, result.senderLacks))))
        expect(stateHash(await folded(back.state))).toEqual(stateHash(after))
      }),
      { numRuns: 500 },
    )
  })

  test("a pushed change takes a peer at the state before to the state after, and harms nobody elsewhere", async () => {
    await fc.assert(
      fc.asyncProperty(histories, fc.nat(2), async (steps, author) => {
        const states = await play(steps)
        const before = states[author] as RegisterState
        const write = writeRegister(before.context, nextDot(before, author), value("pushed", false))
        const after = await folded(joined(before, wholeDelta(write)).state)
        const push = decodeDelta(encodeDelta(pushDelta(before, after)))
        expect(stateHash(await folded(joined(before, push).state))).toEqual(stateHash(after))
        for (const other of states) {
          const result = joinRegister(other, push)
          if (result.type !== "joined") continue
          const partly = await folded(result.state)
          // Joining only a part first must not change the result of joining everything.
          expect(stateHash(await merge(partly, after))).toEqual(stateHash(await merge(other, after)))
        }
      }),
      { numRuns: 500 },
    )
  })

  test("a delta that lists a dot whose value is neither here nor covered changes nothing", () => {
    const one = writeRegister(new Map(), { incarnation: incarnations[0], hlc: 5 }, value("a", false))
    const forged: RegisterDelta = { ...wholeDelta(one), siblings: [] }
    expect(joinRegister(EMPTY_REGISTER, forged).type).toBe("incomplete")
    expect(joinRegister(one, forged).type).toBe("joined")
  })

  test("two values under one dot settle on one of them everywhere", () => {
    const dot = { incarnation: incarnations[0], hlc: 5 }
    const one = writeRegister(new Map(), dot, value("a", false))
    const two = writeRegister(new Map(), dot, value("b", false))
    const left = joined(one, deltaFor(two, summarizeRegister(one))).state
    const right = joined(two, deltaFor(one, summarizeRegister(two))).state
    expect(stateHash(left)).toEqual(stateHash(right))
  })

  test("views of one state settle on the greater hash, and the lower side is told", async () => {
    const base = await merge(
      writeRegister(new Map(), { incarnation: incarnations[0], hlc: 5 }, value("a", false)),
      writeRegister(new Map(), { incarnation: incarnations[1], hlc: 6 }, value("b", false)),
    )
    const views = ["x", "y"].map((text) => hashValue({ deleted: false, payload: { text } }))
    const [low, high] = views
      .sort((p, q) => Buffer.compare(p.hash, q.hash))
      .map((view) => ({ ...base, view }))
    const adopted = joined(
      low as RegisterState,
      deltaFor(high as RegisterState, summarizeRegister(low as RegisterState)),
    )
    expect(adopted.state.view?.payload).toEqual(high?.view?.payload)
    expect(adopted.senderLacks).toBeNull()
    const kept = joined(
      high as RegisterState,
      deltaFor(low as RegisterState, summarizeRegister(high as RegisterState)),
    )
    expect(kept.changed).toBe(false)
    expect(kept.senderLacks).not.toBeNull()
  })
})

function value(text: string, deleted: boolean) {
  return hashValue({ deleted, payload: deleted ? {} : { text } })
}

function nextDot(state: RegisterState, author: number) {
  return { incarnation: incarnations[author] as string, hlc: Math.max(0, ...state.context.values()) + 1 }
}

async function play(steps: readonly Step[]): Promise<readonly RegisterState[]> {
  const states: RegisterState[] = [EMPTY_REGISTER, EMPTY_REGISTER, EMPTY_REGISTER]
  for (const step of steps) {
    const own = states[step.author] as RegisterState
    const write = writeRegister(own.context, nextDot(own, step.author), value(step.text, step.deleted))
    if (step.from === null) states[step.author] = await merge(own, write)
    else states[step.author] = await merge(own, states[step.from] as RegisterState)
  }
  for (const state of states) {
    expect(needsFold(state)).toBe(false)
    expect(state.siblings.toSorted((a, b) => compareDots(a.dot, b.dot))).toEqual(state.siblings)
  }
  return states
}

async function merge(a: RegisterState, b: RegisterState): Promise<RegisterState> {
  return folded(joined(a, wholeDelta(b)).state)
}

async function folded(state: RegisterState): Promise<RegisterState> {
  if (!needsFold(state)) return state
  return { ...state, view: (await foldView(state.siblings, { handler: laterWins })).view }
}

function joined(state: RegisterState, delta: RegisterDelta): Joined {
  const result = joinRegister(state, delta)
  if (result.type !== "joined") throw new Error(`expected a join, got ${result.type}`)
  return result
}
