// `npm run bench -- reconcile`: what it costs to find out how two replicas differ, the index behind it, and what a write
// costs once a document has many writers. Bytes and trips are exact; times are of this machine.
import { createSeededRandom, type SeededRandom } from "@dunlin/core/testing"
import {
  EMPTY_REGISTER,
  encodeDelta,
  encodeSummary,
  hashValue,
  incarnationFromBytes,
  joinRegister,
  pushDelta,
  type RegisterState,
  summarizeRegister,
  wholeDelta,
  writeRegister,
} from "@dunlin/core"
import { createEntryPack, type EntryPack, writeWords } from "../packages/core/src/protocol/entry-words.ts"
import {
  createFingerprintIndex,
  type FingerprintIndex,
} from "../packages/core/src/protocol/fingerprint-index.ts"
import { encodeFrame } from "../packages/core/src/protocol/frame-codec.ts"
import type { Frame } from "../packages/core/src/protocol/frame.ts"
import { framedBytes } from "../packages/core/src/protocol/message.ts"
import { answerRange, createReconciliation } from "../packages/core/src/protocol/reconciliation.ts"
import { createFigures } from "./figures.ts"
import type { SuiteOptions } from "./run-suite.ts"

const figures = createFigures("reconcile")

/** Bytes and one-way trips, both directions together, that a sketch of the protocol reached; not to be exceeded. */
const LEVELS: Readonly<Record<string, { readonly bytes: number; readonly trips: number }>> = {
  "100000/0": { bytes: 20, trips: 1 },
  "100000/1": { bytes: 1_294, trips: 6 },
  "100000/10": { bytes: 2_670, trips: 6 },
  "100000/1000": { bytes: 101_636, trips: 6 },
  "100000/10%": { bytes: 535_235, trips: 6 },
  "1000000/0": { bytes: 20, trips: 1 },
  "1000000/1": { bytes: 1_353, trips: 7 },
  "1000000/10": { bytes: 3_231, trips: 7 },
  "1000000/1000": { bytes: 154_808, trips: 7 },
  "1000000/10%": { bytes: 5_295_755, trips: 7 },
}

/** Microseconds per operation and milliseconds per build of the sketch's index, on two shared cores. */
const INDEX_LEVELS: Readonly<
  Record<number, { readonly buildMs: number; readonly insertUs: number; readonly updateUs: number }>
> = {
  100_000: { buildMs: 27, insertUs: 2, updateUs: 0.6 },
  1_000_000: { buildMs: 410, insertUs: 2, updateUs: 1.1 },
}

export async function run({ quick }: SuiteOptions): Promise<void> {
  figures.begin()
  const sizes = quick ? [100_000] : [100_000, 1_000_000]
  for (const entries of sizes) {
    const pack = createEntries(entries)
    measureIndex(entries, pack, quick ? 3 : 5)
    for (const label of ["0", "1", "10", "1000", "10%"]) {
      const differences = label === "10%" ? entries / 10 : Number(label)
      measureDifference(entries, label, differences, pack)
    }
  }
  measureContexts(quick ? [10, 1_000] : [10, 1_000, 10_000])
  console.log(`JSON lines: ${figures.file}`)
}

export function createEntries(count: number): EntryPack {
  const random = createSeededRandom(`entries/${count}`)
  const pack = createEntryPack(count)
  const words = new Uint32Array(8)
  for (let at = 0; at < count; at++) {
    for (let word = 0; word < 8; word++) words[word] = random.below(2 ** 32)
    pack.addWords(words, 0, `document-${at}`)
  }
  return pack
}

export function positionOf(pack: EntryPack, at: number): Uint8Array {
  const position = new Uint8Array(16)
  writeWords(position, pack.words, at * 8)
  return position
}

function cpuMs(): number {
  return process.cpuUsage().user / 1_000
}

/** The least of several rounds, which is what the machine needs when it does nothing else. */
function best(rounds: number, work: () => number): number {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) least = Math.min(least, work())
  return least
}

function measureIndex(entries: number, pack: EntryPack, rounds: number): void {
  const random = createSeededRandom("index")
  const operations = 20_000
  const index = createFingerprintIndex()
  const buildMs = best(rounds, () => {
    const startedAt = cpuMs()
    index.build(pack)
    return cpuMs() - startedAt
  })
  const known = Array.from({ length: operations }, () => positionOf(pack, random.below(entries)))
  const digests = known.map(() => random.bytes(16))
  const updateUs = best(rounds, () =>
    time(known, (position, at) => index.set(position, digests[at] as Uint8Array, "k")),
  )
  const insertUs = best(rounds, () => {
    const fresh = known.map(() => random.bytes(16))
    const spent = time(fresh, (position, at) => index.set(position, digests[at] as Uint8Array, "k"))
    for (const position of fresh) index.delete(position)
    return spent
  })
  const level = INDEX_LEVELS[entries]
  figures.add({ suite: "reconcile", table: "index", entries, buildMs, insertUs, updateUs, level })
  console.log(
    `index of ${entries}: build ${buildMs.toFixed(0)} ms (level ${level?.buildMs}), ` +
      `insert ${insertUs.toFixed(2)} µs (${level?.insertUs}), update ${updateUs.toFixed(2)} µs (${level?.updateUs})`,
  )
}

/** Microseconds per item. */
function time<T>(items: readonly T[], work: (item: T, at: number) => void): number {
  const startedAt = cpuMs()
  for (let at = 0; at < items.length; at++) work(items[at] as T, at)
  return ((cpuMs() - startedAt) * 1_000) / items.length
}

/** Half of the differences are updates; a quarter is missing on each side. */
function measureDifference(entries: number, label: string, differences: number, pack: EntryPack): void {
  const random = createSeededRandom(`differences/${entries}/${label}`)
  const [one, other] = [createFingerprintIndex(), createFingerprintIndex()]
  one.build(pack)
  other.build(pack)
  const changed = new Set<number>()
  while (changed.size < differences) changed.add(random.below(entries))
  let number = 0
  for (const at of changed) {
    const kind = number++ % 4
    if (kind < 2) one.set(positionOf(pack, at), random.bytes(16), `document-${at}`)
    else if (kind === 2) one.delete(positionOf(pack, at))
    else other.delete(positionOf(pack, at))
  }
  const startedAt = cpuMs()
  const cost = reconcile(one, other, random)
  const spentMs = cpuMs() - startedAt
  const level = LEVELS[`${entries}/${label}`]
  const ratio = level === undefined ? "" : `${(cost.bytes / level.bytes).toFixed(2)} × level`
  figures.add({
    suite: "reconcile",
    table: "differences",
    entries,
    differences: label,
    ...cost,
    cpuMs: spentMs,
    level,
  })
  console.log(
    `${String(entries).padStart(8)} entries, ${label.padStart(5)} differ: ${String(cost.bytes).padStart(8)} B ` +
      `(+ ${cost.acknowledgements} B acks, ${cost.wants} B wants), ${cost.trips} trips (+ ${cost.wantTrips}), ` +
      `${cost.found} found, ` +
      `${spentMs.toFixed(0)} ms CPU, ${ratio}`,
  )
}

export interface Cost {
  /** Roots and ranges, as in the level. */
  readonly bytes: number
  readonly acknowledgements: number
  /** WANT frames, without the summaries, which belong to the payload. */
  readonly wants: number
  /** One-way trips, including the roots, as in the level. */
  readonly trips: number
  /** Further trips that carry only WANTs. Most WANTs go with the next ranges. */
  readonly wantTrips: number
  /** Entries that one side learned to send or to ask for. */
  readonly found: number
}

/** A whole reconciliation in both roles, with every frame encoded as on the wire. */
export function reconcile(one: FingerprintIndex, other: FingerprintIndex, random: SeededRandom): Cost {
  if (one.count === other.count && one.root().every((byte, at) => byte === other.root()[at])) {
    return { bytes: 20, trips: 1, wantTrips: 0, found: 0, acknowledgements: 0, wants: 0 }
  }
  let bytes = 20
  let trips = 1
  let wantTrips = 0
  let acknowledgements = 0
  const found = new Set<string>()
  const wanted: Record<"one" | "other", Uint8Array[]> = { one: [], other: [] }
  const sizeOf = (frame: Frame): number => framedBytes(encodeFrame(frame).length)
  const findingsOf = (side: "one" | "other", index: FingerprintIndex) => ({
    lacksNode(depth: number, prefix: number) {
      index.forEachIn(depth, prefix, (position) => void found.add(position.join()))
    },
    lacksEntry: (position: Uint8Array) => void found.add(position.join()),
    differs(position: Uint8Array) {
      found.add(position.join())
      wanted[side].push(position)
    },
  })
  const run = createReconciliation(one, 0, random.below(2 ** 32), findingsOf("one", one), true)
  while (!run.done) {
    const requests = run.requests(0, true)
    if (requests.length === 0) throw new Error("the reconciliation does not go on")
    trips++
    for (const request of requests) bytes += sizeOf(request)
    let answers = 0
    const before = { one: wanted.one.length, other: wanted.other.length }
    for (const request of requests) {
      const { replies, ack } = answerRange(other, 0, request, findingsOf("other", other), true)
      acknowledgements += sizeOf(ack)
      answers += replies.length
      for (const reply of replies) {
        bytes += sizeOf(reply)
        run.replied(reply)
      }
      run.acknowledged(ack, 0)
    }
    if (answers > 0) trips++
    // The responder's WANTs travel with its replies, the initiator's with its next requests if there are any.
    const isAlone = { other: answers === 0, one: run.done }
    for (const side of ["one", "other"] as const)
      if (isAlone[side] && wanted[side].length > before[side]) wantTrips++
  }
  let wants = 0
  for (const side of ["one", "other"] as const) {
    const items = wanted[side].map((position) => ({ position, summary: new Uint8Array(0) }))
    for (let at = 0; at < items.length; at += 512) {
      wants += sizeOf({ type: "want", slot: 0, items: items.slice(at, at + 512) })
    }
  }
  return { bytes, trips, wantTrips, found: found.size, acknowledgements, wants }
}

/** A document written in many sessions lists each of them: how much does one more write send and store? */
function measureContexts(sessions: readonly number[]): void {
  const random = createSeededRandom("contexts")
  const value = hashValue({ deleted: false, payload: { title: "a document", n: 1 } })
  let state: RegisterState = EMPTY_REGISTER
  let written = 0
  const write = (): RegisterState => {
    const dot = {
      incarnation: incarnationFromBytes(random.bytes(8)),
      hlc: (1_767_225_600_000 + written * 60_000) * 2_048,
    }
    written++
    const joined = joinRegister(state, wholeDelta(writeRegister(state.context, dot, value)))
    if (joined.type !== "joined") throw new Error("a local write did not join")
    return joined.state
  }
  for (const count of sessions) {
    while (written < count) state = write()
    const before = state
    const after = write()
    const push = encodeDelta(pushDelta(before, after)).length
    const whole = encodeDelta(wholeDelta(after)).length
    const summary = encodeSummary(summarizeRegister(after)).length
    state = after
    figures.add({ suite: "reconcile", table: "contexts", sessions: count, push, whole, summary })
    console.log(
      `document of ${String(count).padStart(6)} writing sessions: a live write sends ${push} B, ` +
        `all of it ${whole} B, its summary ${summary} B (${(summary / count).toFixed(1)} a session)`,
    )
  }
}
