// `npm run fuzz`: mutated bytes for every decoder that reads what peers, servers and files say. Each must quickly give a
// value or throw a `DecodeError`, and keep nothing.
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { inspect, parseArgs } from "node:util"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import {
  DecodeError,
  decodeDelta,
  decodeSummary,
  EMPTY_REGISTER,
  joinRegister,
  KIND_MEMORY,
} from "@dunlin/core"
import { decodeClientMessage, decodeHostMessage } from "@dunlin/core/signaling"
import {
  createMemoryReplica,
  createSeededRandom,
  createSimulatedTime,
  createSyncEngine,
  decodeMessage,
  type SeededRandom,
  type SimulatedTime,
} from "@dunlin/core/testing"
import { createFingerprintIndex } from "../packages/core/src/protocol/fingerprint-index.ts"
import { decodeFrame, encodeFrame } from "../packages/core/src/protocol/frame-codec.ts"
import { decodeIndexBlob } from "../packages/core/src/protocol/index-blob.ts"
import { PROTOCOL_VERSION } from "../packages/core/src/protocol/limits.ts"
import { encodeMessage } from "../packages/core/src/protocol/message.ts"
import { compareRecord, decodeRangeRecords } from "../packages/core/src/protocol/reconcile.ts"
import { createMutator } from "./mutator.ts"
import { createScenario } from "./scenario.ts"
import { runSimulation } from "./simulation.ts"
import { strictEvents } from "./strict-events.ts"

interface Target {
  readonly name: string
  /** Valid inputs to start from. */
  readonly samples: readonly Uint8Array[]
  readonly decode: (input: Uint8Array) => unknown
}

const { values: options } = parseArgs({
  options: {
    inputs: { type: "string", default: "2100000" },
    seed: { type: "string", default: "1" },
  },
})

/** A decoder may take no longer; a slower one is run again to see whether it was the decoder or the machine. */
const LIMIT_MS = 50
const RERUNS = 5
const MOST_GROWTH_BYTES = 33_554_432
const ENGINE_SHARE = 0.02

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void
const startedAt = performance.now()
const random = createSeededRandom(`fuzz/${options.seed}`)
const messages = await captureMessages()
const targets = collectTargets()
const total = Number(options.inputs)
let failures = 0
let run = 0
let heapBefore = 0

for (const target of targets) {
  const count = Math.ceil(total / targets.length)
  const outcome = fuzz(target, count, random.fork(target.name))
  run += count
  console.log(
    `${target.name.padEnd(20)} ${count} inputs from ${target.samples.length} samples: ${outcome.accepted} read, ` +
      `${outcome.refused} refused, slowest ${outcome.slowestMs.toFixed(1)} ms`,
  )
  if (heapBefore === 0) heapBefore = heapBytes()
}
const engineInputs = Math.ceil(total * ENGINE_SHARE)
await fuzzEngine(engineInputs)
run += engineInputs
const growth = heapBytes() - heapBefore
console.log(
  `${run} inputs, ${failures} failures, heap ${growth > 0 ? "+" : ""}${(growth / 1_048_576).toFixed(1)} MB, ` +
    `${((performance.now() - startedAt) / 1_000).toFixed(0)} s`,
)
if (growth > MOST_GROWTH_BYTES) {
  console.log("memory grew: something is kept")
  failures++
}
if (failures > 0) process.exitCode = 1

function heapBytes(): number {
  collectGarbage()
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function fuzz({ name, samples, decode }: Target, count: number, chance: SeededRandom) {
  const mutate = createMutator(samples, chance)
  const outcome = { accepted: 0, refused: 0, slowestMs: 0 }
  for (let at = 0; at < count; at++) {
    const input = mutate()
    const before = performance.now()
    try {
      decode(input)
      outcome.accepted++
    } catch (error) {
      if (error instanceof DecodeError) outcome.refused++
      else fail(name, input, error)
    }
    const elapsedMs = performance.now() - before
    if (elapsedMs > LIMIT_MS && confirmedMs(decode, input) > LIMIT_MS) {
      fail(name, input, new Error(`took ${elapsedMs.toFixed(0)} ms`))
    } else if (elapsedMs <= LIMIT_MS) {
      outcome.slowestMs = Math.max(outcome.slowestMs, elapsedMs)
    }
  }
  return outcome
}

/** The least of several runs, in CPU time. */
function confirmedMs(decode: (input: Uint8Array) => unknown, input: Uint8Array): number {
  let least = Number.POSITIVE_INFINITY
  for (let rerun = 0; rerun < RERUNS; rerun++) {
    const before = process.cpuUsage()
    try {
      decode(input)
    } catch {
      // Only the time counts here.
    }
    const { user, system } = process.cpuUsage(before)
    least = Math.min(least, (user + system) / 1_000)
  }
  return least
}

function fail(name: string, input: Uint8Array, error: unknown): void {
  failures++
  if (failures > 20) return
  console.log(`${name}: ${inspect(error)}`)
  console.log(`  input (${input.length} bytes): ${Buffer.from(input.subarray(0, 400)).toString("hex")}`)
}

/** A whole engine takes mutated messages from a peer: links may end, nothing may throw. */
async function fuzzEngine(count: number): Promise<void> {
  const mutate = createMutator(messages, random.fork("engine"))
  const time = createSimulatedTime()
  let ended = 0
  const engine = createSyncEngine({
    clock: time.clock(),
    random: random.fork("engine/random"),
    sessionId: new Uint8Array(16).fill(1),
    device: "11".repeat(32),
    digestKey: new Uint8Array(32),
    roomTag: new Uint8Array(32),
    events: { ...strictEvents, violation: () => void ended++ },
  })
  await settled(
    engine.replicate(createMemoryReplica({ name: "documents", clock: time.clock(), random })),
    time,
  )
  const greeting = encodeMessage([
    encodeFrame({
      type: "hello",
      version: PROTOCOL_VERSION,
      session: new Uint8Array(16).fill(0x22),
      maxMessageBytes: 65_536,
      refusesEntries: false,
    }),
    encodeFrame({
      type: "announce",
      slot: 0,
      name: "documents",
      kind: KIND_MEMORY,
      schemaTag: "1",
      direction: "both",
      count: 5_000,
      root: new Uint8Array(16).fill(7),
      basis: null,
    }),
  ])
  let open = false
  let input: ReturnType<typeof engine.addLink> | null = null
  for (let at = 0; at < count; at++) {
    if (!open) {
      open = true
      input = engine.addLink({
        session: "22".repeat(16),
        device: "22".repeat(32),
        role: "writer",
        maxMessageBytes: 65_536,
        send: () => undefined,
        buffered: () => 0,
        close() {
          open = false
        },
      })
      input.message("control", greeting)
    }
    const message = at % 4 === 0 ? (messages[at % messages.length] as Uint8Array) : mutate()
    try {
      input?.message(at % 3 === 0 ? "bulk" : "control", message)
    } catch (error) {
      fail("engine", message, error)
    }
    if (at % 50 === 0) await time.runFor(20)
  }
  await engine.close()
  console.log(`${"engine".padEnd(20)} ${count} inputs: ${ended} links ended by a violation`)
}

async function settled<T>(work: Promise<T>, time: SimulatedTime): Promise<T> {
  await time.runFor(1_000)
  return work
}

/** What honest peers say to each other in a few rooms. */
async function captureMessages(): Promise<readonly Uint8Array[]> {
  const byText = new Map<string, Uint8Array>()
  for (const seed of ["1", "2", "5", "8", "11"]) {
    await runSimulation(createScenario(seed), {
      capture(message) {
        if (message.length < 4_096 && byText.size < 4_000) byText.set(message.join(), message.slice())
      },
    })
  }
  return [...byText.values()]
}

function collectTargets(): readonly Target[] {
  const frames = messages.flatMap((message) => decodeMessage(message).map(({ frame }) => frame))
  const deltas = frames.flatMap((frame) =>
    frame.type === "data" || frame.type === "push" ? [frame.delta] : [],
  )
  const summaries = frames.flatMap((frame) =>
    frame.type === "want" ? frame.items.map(({ summary }) => summary) : [],
  )
  const records = frames.flatMap((frame) => (frame.type === "range" ? [frame.records] : []))
  const index = createFingerprintIndex()
  for (let at = 0; at < 3_000; at++) index.set(random.bytes(16), random.bytes(16), `k${at}`)
  const ignore = (): void => undefined
  const findings = { reply: ignore, lacksNode: ignore, lacksEntry: ignore, differs: ignore }
  return [
    { name: "message", samples: messages, decode: decodeMessage },
    {
      name: "frame",
      samples: [...vectorBytes("frames"), ...messages.map((message) => message.slice(1))],
      decode: decodeFrame,
    },
    {
      name: "range records",
      samples: records,
      decode(input) {
        for (const record of decodeRangeRecords(input)) compareRecord(index, 1, record, findings, true)
      },
    },
    {
      name: "register delta",
      samples: [...vectorBytes("register"), ...deltas],
      decode: (input) => joinRegister(EMPTY_REGISTER, decodeDelta(input)),
    },
    { name: "register summary", samples: summaries, decode: decodeSummary },
    { name: "index blob", samples: vectorBytes("index-blob"), decode: decodeIndexBlob },
    {
      name: "index blob, signed",
      samples: vectorBytes("index-blob"),
      // Gets past the checksum to the rest of the decoder.
      decode: (input) => decodeIndexBlob(withChecksum(input)),
    },
    { name: "signaling client", samples: vectorBytes("signaling"), decode: decodeClientMessage },
    { name: "signaling host", samples: vectorBytes("signaling"), decode: decodeHostMessage },
  ]
}

function withChecksum(input: Uint8Array): Uint8Array {
  const body = input.subarray(0, Math.max(0, input.length - 16))
  return Buffer.concat([body, createHash("sha256").update(body).digest().subarray(0, 16)])
}

/** Every text of hex digits in a file of vectors. */
function vectorBytes(name: string): readonly Uint8Array[] {
  const found: Uint8Array[] = []
  const collect = (value: unknown): void => {
    if (typeof value === "string" && value.length > 2 && /^([0-9a-f]{2})+$/.test(value)) {
      found.push(Uint8Array.from(Buffer.from(value, "hex")))
    } else if (typeof value === "object" && value !== null) {
      for (const member of Object.values(value)) collect(member)
    }
  }
  try {
    collect(
      JSON.parse(readFileSync(new URL(`../packages/core/vectors/${name}.json`, import.meta.url), "utf8")),
    )
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== "ENOENT") throw error
  }
  return found
}
