import {
  type AttachedReplica,
  createDotMinter,
  type DotMinter,
  type DotMinterOptions,
  deltaFor,
  EMPTY_REGISTER,
  hlcFromMillis,
  incarnationFromBytes,
  type Incarnation,
  type JoinOutcome,
  joinContexts,
  joinRegister,
  pushDelta,
  type RegisterJoin,
  type RegisterState,
  type Replica,
  stateHash,
  type Store,
  writeRegister,
} from "@dunlin/core"
import type { MemoryCollection } from "@dunlin/core/testing"
import type { PlantedBug } from "./planted-bug.ts"

/** Mistakes that are easily made in a library like this one. Each must be caught within a few hundred seeds. */
export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: "skip-the-answer-to-data",
    wrapReplica: (replica) => onJoin(replica, (outcome) => ({ ...outcome, senderLacks: null })),
  },
  {
    name: "clear-siblings-on-a-local-write",
    replicaOptions: () => {
      let local = false
      return {
        steps: {
          write(...args) {
            local = true
            return writeRegister(...args)
          },
          join(state, delta) {
            const seen = local ? joinContexts(state.context, delta.context) : delta.context
            local = false
            return joinRegister(state, { ...delta, context: seen })
          },
        },
      }
    },
  },
  {
    name: "prune-a-context",
    replicaOptions: () => ({ steps: { join: afterJoin(pruned) } }),
  },
  {
    name: "reuse-an-incarnation",
    replicaOptions: ({ device }) => {
      const own: Incarnation = incarnationFromBytes(new Uint8Array(8).fill(device + 1))
      return { steps: { createMinter: ({ now }) => createDotMinter({ now, freshIncarnation: () => own }) } }
    },
  },
  {
    name: "follow-the-wall-clock-back",
    replicaOptions: () => ({ steps: { createMinter: minterByWallClock } }),
  },
  {
    name: "write-merges-back",
    wrapReplica: (replica) =>
      onJoin(replica, (outcome, key, collection) => {
        const state = collection.state(key)
        if (state !== null && state.siblings.length > 1 && state.view !== null) {
          collection.set(key, state.view.payload).catch(() => undefined)
        }
        return outcome
      }),
  },
  {
    name: "forget-a-tombstone",
    replicaOptions: () => ({
      steps: {
        join: afterJoin((state) => (state.siblings.every(({ deleted }) => deleted) ? EMPTY_REGISTER : state)),
      },
    }),
  },
  {
    name: "acknowledge-before-durability",
    replicaOptions: ({ disk }) => ({ store: acknowledgingEarly(disk.open()) }),
  },
  {
    name: "fold-again-on-restart",
    replicaOptions: () => ({ steps: { restore: (stored) => ({ ...stored, view: null }) } }),
  },
  {
    name: "leave-the-view-out-of-the-hash",
    replicaOptions: () => ({ steps: { stateHash: (state) => stateHash({ ...state, view: null }) } }),
  },
  {
    name: "send-no-view",
    replicaOptions: () => ({
      steps: { deltaFor: (state, summary) => ({ ...deltaFor(state, summary), view: null }) },
    }),
  },
  { name: "take-readers-for-writers", ignoresRoles: true },
  {
    name: "fold-in-the-order-of-arrival",
    mutation: {
      file: "register/register.ts",
      find: "siblings: siblings.sort((a, b) => compareDots(a.dot, b.dot))",
      replace: "siblings",
    },
  },
  {
    name: "excuse-a-difference-that-another-peer-was-asked-about",
    mutation: {
      file: "room/link-replica.ts",
      find: "if (wasFruitless(item))",
      replace: "if (run.ended !== null)",
    },
  },
  {
    name: "never-excuse-a-difference",
    mutation: { file: "room/link-replica.ts", find: "if (wasFruitless(item))", replace: "if (false)" },
  },
  {
    // Our pushes name only what changed. If one names the whole context, which is no less honest, only the check saves
    // the writes that the receiver lacks.
    name: "adopt-a-context-without-its-values",
    replicaOptions: () => ({
      steps: {
        pushDelta: (before, after) => ({
          ...pushDelta(before, after),
          complete: true,
          context: after.context,
        }),
      },
    }),
    mutation: {
      file: "register/register.ts",
      find: "if (theirs === undefined) return null",
      replace: "if (theirs === undefined) continue",
    },
  },
  {
    name: "trust-a-last-common-root-after-a-rollback",
    mutation: {
      file: "room/link-replica.ts",
      find: "const enough = comparable && offerNewer(options, queue, unconfirmed)",
      replace:
        "const enough = comparable && offerNewer(options, queue, unconfirmed); if (shared.history.basisFor(options.device) !== null) return finish(true)",
    },
  },
  {
    name: "say-synced-before-it-is-durable",
    mutation: {
      file: "room/synced-waits.ts",
      find: 'if (!unconfirmed.confirmedUpTo(upTo, wait.positions)) return "pending"',
      replace: "",
    },
  },
  {
    name: "say-synced-while-another-peer-is-asked",
    mutation: {
      file: "room/link-replica.ts",
      find: "owed.add(mapKey(position), digest)",
      replace: "void digest",
    },
  },
  {
    name: "say-synced-before-both-sides-compared",
    mutation: { file: "room/synced-waits.ts", find: " || !own.compared", replace: "" },
  },
  {
    name: "say-synced-without-what-came-meanwhile",
    mutation: {
      file: "room/sync-engine.ts",
      find: "target.owes(position)",
      replace: "void after",
    },
  },
  {
    name: "say-synced-without-what-could-not-be-read",
    mutation: { file: "room/link-replica.ts", find: "compared && !unread", replace: "compared" },
  },
  {
    name: "wait-for-ever-for-peers-that-do-not-come",
    mutation: {
      file: "room/synced-waits.ts",
      find: "if (aloneMs >= NO_PEERS_LIMIT_MS && !isIncomplete)",
      replace: "if (false)",
    },
  },
  {
    name: "be-present-only-in-the-middle-of-a-line",
    mutation: {
      file: "room/presence-links.ts",
      find: "peer.lacksAny(sessions.keys()) || [...peer.linkedTo()].some(isDistant)",
      replace: "peer.lacksAny(sessions.keys())",
    },
  },
  {
    name: "keep-the-presence-of-who-left",
    mutation: {
      file: "room/presence-links.ts",
      find: "changed(session, null)",
      replace: "void session",
    },
  },
  {
    name: "take-half-of-an-attachment-for-the-whole",
    missingChunks: (missing, chunks) => (missing.length < chunks ? [] : missing),
  },
  {
    name: "count-a-twin-as-another-device",
    mutation: {
      file: "room/synced-waits.ts",
      find: "const kin = device === options.device && wait.session === undefined",
      replace: "const kin = false",
    },
  },
  {
    name: "count-a-device-twice-that-a-twin-knows-too",
    mutation: {
      file: "room/synced-waits.ts",
      find: "new Set(others.flatMap((one) => (holdings.includes(one.holding) ? one.device : []))).size",
      replace: "others.filter((one) => holdings.includes(one.holding)).length",
    },
  },
]

/** Throws a `RangeError` for an unknown name. */
export function findPlantedBug(name: string): PlantedBug {
  const found = PLANTED_BUGS.find((bug) => bug.name === name)
  if (found === undefined) throw new RangeError(`no planted bug is called "${name}"`)
  return found
}

type Joined = Extract<JoinOutcome, { readonly type: "joined" }>

function onJoin(
  replica: Replica<MemoryCollection>,
  change: (outcome: Joined, key: string, collection: MemoryCollection) => JoinOutcome,
): Replica<MemoryCollection> {
  return {
    ...replica,
    async attach(host, options) {
      const attached = await replica.attach(host, options)
      const join: AttachedReplica["join"] = async (entries, peer) => {
        const outcomes = await attached.join(entries, peer)
        return outcomes.map((outcome, at) =>
          outcome.type === "joined" ? change(outcome, entries[at]?.key ?? "", attached.handle) : outcome,
        )
      }
      return { ...attached, join }
    },
  }
}

function afterJoin(change: (state: RegisterState) => RegisterState): typeof joinRegister {
  return (state, delta): RegisterJoin => {
    const joined = joinRegister(state, delta)
    return joined.type === "joined" ? { ...joined, state: change(joined.state) } : joined
  }
}

/** Keeps only the two newest entries, and those of siblings. */
function pruned(state: RegisterState): RegisterState {
  const inUse = new Set(state.siblings.map(({ dot }) => dot.incarnation))
  const newest = [...state.context].toSorted((a, b) => b[1] - a[1])
  return {
    ...state,
    context: new Map(newest.filter(([incarnation], at) => at < 2 || inUse.has(incarnation))),
  }
}

function acknowledgingEarly(store: Store): Store {
  return {
    ...store,
    async write(changes) {
      store.write(changes).catch(() => undefined)
    },
  }
}

/** Believes the wall clock, wherever it goes. */
function minterByWallClock({ now, freshIncarnation }: DotMinterOptions): DotMinter {
  const honest = createDotMinter({ now, freshIncarnation })
  const incarnation = freshIncarnation()
  let counter = 0
  return { ...honest, mint: () => ({ incarnation, hlc: hlcFromMillis(now()) + (counter++ % 2_048) }) }
}
