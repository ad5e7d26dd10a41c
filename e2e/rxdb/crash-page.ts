// A page with a Dexie collection in a room, for tests that kill its browser during writes.
import { memoryIdentity } from "@dunlin/core"
import {
  getConnectionHandlerSimplePeer,
  mergeFields,
  replicateWebRTC,
  type RxWebRTCReplicationPool,
  type SimplePeer,
} from "@dunlin/rxdb"
import { createRxDatabase, type RxCollection } from "rxdb/plugins/core"
import { getRxStorageDexie } from "rxdb/plugins/storage-dexie"
import { type CrashNote, crashSchema } from "./crash-schema.ts"
import { openWitness, type Witness, type WitnessedWrite } from "../crash-witness.ts"

let notes: RxCollection<CrashNote> | null = null
let pool: RxWebRTCReplicationPool<CrashNote, SimplePeer> | null = null
let witness: Witness | null = null
const inserted: string[] = []
let counted = 0
let witnessed: WitnessedWrite | null = null

/** Resolves to the last write that the browser itself still knows of. */
export async function start(options: {
  readonly server: string
  readonly topic: string
}): Promise<WitnessedWrite | null> {
  witness = await openWitness()
  const remembered = await witness.last()
  const database = await createRxDatabase({
    name: "crash",
    storage: getRxStorageDexie(),
    multiInstance: false,
  })
  const made = await database.addCollections({
    notes: { schema: crashSchema, conflictHandler: mergeFields<CrashNote>() },
  })
  notes = made.notes
  pool = await replicateWebRTC({
    collection: notes,
    topic: options.topic,
    connectionHandlerCreator: getConnectionHandlerSimplePeer(options.server),
    identity: memoryIdentity(),
    pull: {},
    push: {},
  })
  return remembered
}

/** Inserts, counts and edits documents that others edit too, until the browser dies. */
export function writeForEver(round: number): void {
  void (async () => {
    for (let n = 0; ; n++) {
      await collection().insert({ id: `insert-${round}-${n}`, text: "x".repeat(100) })
      inserted.push(`insert-${round}-${n}`)
      await collection().upsert({ id: `counter-${round}`, count: n })
      counted = n
      await witness?.testify({ round, n })
      witnessed = { round, n }
      await collection().incrementalUpsert({ id: `contested-${n % 5}`, text: `page ${round}-${n}` })
    }
  })()
}

/** The writes acknowledged to the application so far. */
export function acknowledged(): {
  readonly inserted: readonly string[]
  readonly counted: number
  readonly witnessed: WitnessedWrite | null
} {
  return { inserted: [...inserted], counted, witnessed }
}

export async function contents(): Promise<readonly CrashNote[]> {
  const documents = await collection().find().exec()
  return documents.map((document) => document.toMutableJSON())
}

export function peers(): number {
  return pool?.peerStates$.getValue().size ?? 0
}

function collection(): RxCollection<CrashNote> {
  if (notes === null) throw new Error("call start first")
  return notes
}
