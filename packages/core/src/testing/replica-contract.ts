import type {
  AttachedReplica,
  EntryChange,
  JoinOutcome,
  Replica,
  ReplicaHost,
  ReplicaPeer,
  StandingReplica,
} from "../ports/replica.ts"
import { ReplicaError } from "../ports/replica.ts"
import { createState } from "../ports/state.ts"
import { bytesToHex } from "../protocol/hex.ts"
import { sameBytes } from "../protocol/same-bytes.ts"
import { type ContractCase, demand, eventually } from "./contract-case.ts"
import { createSeededRandom } from "./seeded-random.ts"

/** How the contract uses your replica. */
export interface ReplicaSubject<Handle> {
  /** An empty replica with storage of its own; always with the same name, kind and tag. */
  create(): Replica<Handle> | Promise<Replica<Handle>>
  /** Changes the entry `key` as an application does. The contract makes concurrent changes on several replicas. */
  write(handle: Handle, key: string, value: number): void | Promise<void>
  /** Ends what `create` made, after `detach`. */
  end?(): Promise<void>
}

/** A replica under test, attached not to a room but to a host that records what it is told. */
interface Bench<Handle> {
  readonly replica: Replica<Handle>
  readonly attached: AttachedReplica<Handle>
  readonly changes: readonly EntryChange[]
  /** What it passed to `standBy`, if it stood by. */
  readonly standing: readonly StandingReplica<Handle>[]
  /** Makes a local change and waits until it is reported. */
  write(key: string, value: number): Promise<EntryChange>
}

const NOTHING = new Uint8Array()
const PEER: ReplicaPeer = { session: "5e".repeat(16), device: "de".repeat(32) }
const HASH_BYTES = 32
const MUTATIONS = 300

/** The rules that every replica keeps, whatever its entries are. */
export function replicaContract<Handle>(subject: ReplicaSubject<Handle>): readonly ContractCase[] {
  const onBenches =
    (count: number, act: (...benches: readonly Bench<Handle>[]) => Promise<void>) =>
    async (): Promise<void> => {
      const benches: Bench<Handle>[] = []
      try {
        for (let index = 0; index < count; index++) benches.push(await openBench(subject, index))
        await act(...benches)
      } finally {
        for (const { attached } of benches) await attached.detach()
        await subject.end?.()
      }
    }
  const rule = (
    name: string,
    count: number,
    act: (...benches: readonly Bench<Handle>[]) => Promise<void>,
  ) => ({
    name,
    run: onBenches(count, act),
  })

  return [
    rule("a local change is reported with the hashes before and after", 1, async (one) => {
      const first = await one.write("a", 1)
      demand(first.before === null, "the first change of an entry has no hash before")
      demand(first.stateHash?.length === HASH_BYTES, "a state hash has 32 bytes")
      const second = await one.write("a", 2)
      demand(isSame(second.before, first.stateHash), "the hash before is that of the state before")
      demand(!isSame(second.stateHash, first.stateHash), "another state has another hash")
    }),
    rule("a scan lists every entry with its hash, and its cursor leads behind them", 1, async (one) => {
      for (let index = 0; index < 20; index++) await one.write(`k${index}`, index)
      const { hashes, cursor } = await scanAll(one.attached, null)
      demand(hashes.size === 20, `20 entries are listed, not ${hashes.size}`)
      const last = one.changes.at(-1)
      demand(last !== undefined && hashes.get("k19") === hexOf(last.stateHash), "hashes are those reported")
      await one.write("k7", 700)
      const later = await scanAll(one.attached, cursor)
      demand(later.hashes.has("k7"), "what changed after the cursor is listed")
      const all = await scanAll(one.attached, null)
      demand(later.hashes.get("k7") === all.hashes.get("k7"), "with its present hash")
    }),
    rule("a cursor from elsewhere is refused as stale, or taken for a full scan", 1, async (one) => {
      await one.write("a", 1)
      const foreign = Uint8Array.from({ length: 40 }, (_, index) => 255 - index)
      const outcome = await scanAll(one.attached, foreign).catch((error: unknown) => error)
      if (outcome instanceof Error) {
        demand(
          outcome instanceof ReplicaError && outcome.code === "stale-cursor",
          `stale-cursor, not: ${outcome}`,
        )
      } else demand((outcome as Scan).hashes.has("a"), "a scan from nowhere lists everything")
    }),
    rule("what is read for an empty summary makes the entry at an empty replica", 2, async (one, two) => {
      const { stateHash } = await one.write("a", 1)
      const [outcome] = await carry(one, two, ["a"])
      demand(outcome?.type === "joined" && outcome.changed, "the entry is joined, and that changed something")
      demand(isSame(outcome.stateHash, stateHash), "both hold the same state")
      demand(outcome.before === null, "there was none before")
      demand(outcome.senderLacks === null, "the sender lacks nothing")
    }),
    rule("joining again changes nothing", 2, async (one, two) => {
      await one.write("a", 1)
      const delta = await readDelta(one, "a", NOTHING)
      const [first, again] = await two.attached.join(
        [
          { key: "a", delta },
          { key: "a", delta },
        ],
        PEER,
      )
      demand(first?.type === "joined" && again?.type === "joined", "both are joined")
      demand(first.changed && !again.changed, "only the first changes something")
      demand(isSame(first.stateHash, again.stateHash), "the state is the same")
    }),
    rule("concurrent changes join to one state, and whoever lacks something is told", 2, async (one, two) => {
      await one.write("a", 1)
      await two.write("a", 2)
      const [there] = await carry(one, two, ["a"])
      demand(there?.type === "joined" && there.senderLacks !== null, "the sender lacks the change made here")
      const [back] = await carry(two, one, ["a"])
      demand(back?.type === "joined", "the answer is joined")
      demand(isSame(back.stateHash, there.stateHash), "both hold the same state")
      demand(back.senderLacks === null, "and nobody lacks anything")
    }),
    rule(
      "deltas of three replicas join to one state in any order",
      5,
      async (one, two, three, left, right) => {
        const authors = [one, two, three]
        for (const [index, author] of authors.entries()) await author.write("a", index)
        const deltas: Uint8Array[] = []
        for (const author of authors) deltas.push(await readDelta(author, "a", NOTHING))
        const join = async (bench: Bench<Handle>, order: readonly number[]): Promise<string> => {
          let last: JoinOutcome | undefined
          for (const index of order) {
            ;[last] = await bench.attached.join([{ key: "a", delta: deltas[index] ?? NOTHING }], PEER)
          }
          return last?.type === "joined" ? hexOf(last.stateHash) : `${last?.type}`
        }
        const forward = await join(left, [0, 1, 2])
        const backward = await join(right, [2, 0, 1, 2])
        demand(forward === backward, `${forward} and ${backward} are one state`)
      },
    ),
    rule("what was joined is not reported as a change", 2, async (one, two) => {
      await one.write("a", 1)
      await carry(one, two, ["a"])
      await new Promise((resolve) => setTimeout(resolve, 50))
      demand(two.changes.length === 0, "join reports nothing")
      const { hashes } = await scanAll(two.attached, null)
      demand(hashes.has("a"), "and is durable")
    }),
    rule("a change made on top of a joined state takes its place everywhere", 2, async (one, two) => {
      await one.write("a", 1)
      await carry(one, two, ["a"])
      const { stateHash } = await two.write("a", 2)
      const [outcome] = await carry(two, one, ["a"])
      demand(outcome?.type === "joined" && outcome.changed, "it is joined")
      demand(isSame(outcome.stateHash, stateHash), "and leads to the same state")
    }),
    rule("what is unknown is summed up as nothing and read as none", 1, async (one) => {
      const [summary] = await one.attached.summarize(["nowhere"])
      demand(summary?.length === 0, "its summary is empty")
      const [outcome] = await one.attached.read([{ key: "nowhere", summary: NOTHING }], PEER)
      demand(outcome?.type === "none", `it is read as none, not ${outcome?.type}`)
    }),
    rule("hostile bytes are refused one by one, and the rest goes on", 2, async (one, two) => {
      await one.write("a", 1)
      const good = await readDelta(one, "a", NOTHING)
      const outcomes = await two.attached.join(
        [
          { key: "b", delta: Uint8Array.of(255, 255, 255, 255, 255) },
          { key: "a", delta: good },
        ],
        PEER,
      )
      demand(outcomes.length === 2, "one answer each, in order")
      demand(outcomes[0]?.type !== "joined", "nonsense is not joined")
      demand(outcomes[1]?.type === "joined", "what stands beside it is")
      const [read] = await one.attached.read([{ key: "a", summary: Uint8Array.of(255, 255, 255, 255) }], PEER)
      demand(read !== undefined, "a hostile summary is answered")
    }),
    rule("no change of honest bytes makes it throw", 2, async (one, two) => {
      await one.write("a", 1)
      const honest = await readDelta(one, "a", NOTHING)
      const random = createSeededRandom("replica-contract")
      for (let round = 0; round < MUTATIONS; round++) {
        const delta = honest.slice(0, random.chance(0.2) ? random.below(honest.length + 1) : honest.length)
        for (let flips = random.below(3); flips >= 0; flips--) {
          if (delta.length > 0) delta[random.below(delta.length)] = random.below(256)
        }
        await two.attached.join([{ key: `m${round}`, delta }], PEER)
        await one.attached.read([{ key: "a", summary: delta }], PEER)
      }
    }),
    rule("it belongs to one room at a time", 1, async (one) => {
      const second = await Promise.resolve(one.replica.attach(createBenchHost(9, []))).catch(
        (error: unknown) => error,
      )
      demand(second instanceof ReplicaError && second.code === "replica-in-use", "a second room is refused")
    }),
    rule("if it stood by, it did so once, and with the handle that it attached with", 1, async (one) => {
      demand(one.standing.length <= 1, `it says so once, not ${one.standing.length} times`)
      for (const { handle, synced } of one.standing) {
        demand(handle === one.attached.handle, "the application has the handle already")
        await synced({})
      }
    }),
    rule("the index is kept as it was given", 1, async (one) => {
      demand((await one.attached.loadIndex()) === null, "there is none at first")
      const blob = Uint8Array.from({ length: 1_000 }, (_, index) => index % 251)
      await one.attached.saveIndex(blob)
      const loaded = await one.attached.loadIndex()
      demand(loaded !== null && sameBytes(loaded, blob), "it comes back byte by byte")
    }),
  ]
}

async function openBench<Handle>(subject: ReplicaSubject<Handle>, index: number): Promise<Bench<Handle>> {
  const changes: EntryChange[] = []
  const replica = await subject.create()
  const standing: StandingReplica<Handle>[] = []
  const attached = await replica.attach(createBenchHost(index, changes), {
    standBy: (one) => void standing.push(one),
  })
  return {
    replica,
    attached,
    changes,
    standing,
    async write(key, value) {
      const before = changes.length
      await subject.write(attached.handle, key, value)
      await eventually(
        () => changes.slice(before).some((change) => change.key === key),
        `the change of "${key}" is reported`,
      )
      return changes.findLast((change) => change.key === key)!
    },
  }
}

function createBenchHost(index: number, changes: EntryChange[]): ReplicaHost {
  return {
    roomTag: new Uint8Array(HASH_BYTES).fill(7),
    device: bytesToHex(new Uint8Array(HASH_BYTES).fill(index + 1)),
    changed: (reported) => void changes.push(...reported),
    report() {},
    released() {},
    synced: () => Promise.resolve(),
    links: createState(new Map()),
  }
}

/** Brings entries from one replica to another as a room does: against the receiver's summaries. */
async function carry<Handle>(
  from: Bench<Handle>,
  to: Bench<Handle>,
  keys: readonly string[],
): Promise<readonly JoinOutcome[]> {
  const summaries = await to.attached.summarize(keys)
  const incoming = []
  for (const [index, key] of keys.entries()) {
    incoming.push({ key, delta: await readDelta(from, key, summaries[index] ?? NOTHING) })
  }
  return to.attached.join(incoming, PEER)
}

async function readDelta<Handle>(
  bench: Bench<Handle>,
  key: string,
  summary: Uint8Array,
): Promise<Uint8Array> {
  const [outcome] = await bench.attached.read([{ key, summary }], PEER)
  demand(outcome?.type === "delta", `"${key}" is read as a delta, not ${outcome?.type}`)
  demand(outcome.stateHash.length === HASH_BYTES, "with the hash of its state")
  return outcome.delta
}

interface Scan {
  readonly hashes: ReadonlyMap<string, string>
  readonly cursor: Uint8Array
}

async function scanAll(attached: AttachedReplica, since: Uint8Array | null): Promise<Scan> {
  const hashes = new Map<string, string>()
  let cursor: Uint8Array = since ?? NOTHING
  for await (const page of attached.scan(since)) {
    for (const { key, stateHash } of page.entries) {
      if (stateHash === null) hashes.delete(key)
      else hashes.set(key, bytesToHex(stateHash))
    }
    ;({ cursor } = page)
  }
  return { hashes, cursor }
}

function isSame(one: Uint8Array | null | undefined, other: Uint8Array | null | undefined): boolean {
  return one != null && other != null && sameBytes(one, other)
}

function hexOf(bytes: Uint8Array | null): string {
  return bytes === null ? "none" : bytesToHex(bytes)
}
