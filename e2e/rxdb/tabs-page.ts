// A tab with a Dexie collection that its profile's tabs share, in a room that one of them holds.
import { openRoom } from "@dunlin/core"
import { tabs } from "@dunlin/core/tabs"
import { webrtc } from "@dunlin/core/webrtc"
import { mergeFields, rxdbReplica } from "@dunlin/rxdb"
import { createRxDatabase, type RxCollection } from "rxdb/plugins/core"
import { getRxStorageDexie } from "rxdb/plugins/storage-dexie"
import { type CrashNote, crashSchema } from "./crash-schema.ts"

let notes: RxCollection<CrashNote> | null = null

export async function start(options: { readonly invite: string; readonly signaling: string }): Promise<void> {
  const database = await createRxDatabase({
    name: "shared",
    storage: getRxStorageDexie(),
    multiInstance: true,
  })
  const made = await database.addCollections({
    notes: { schema: crashSchema, conflictHandler: mergeFields<CrashNote>() },
  })
  notes = made.notes
  const { invite, signaling } = options
  const room = await openRoom({ invite, transports: [tabs(), webrtc({ signaling })] })
  // A tab that does not hold the collection waits here until the holder goes.
  void room.replicate(rxdbReplica(notes))
}

export async function insert(id: string): Promise<void> {
  await collection().insert({ id, text: "written" })
}

export async function ids(): Promise<readonly string[]> {
  return (await collection().find().exec()).map(({ id }) => id)
}

/** From now on nobody hears of what this tab writes: as when its process ends between the write and the word of it. */
export function fallSilent(): void {
  BroadcastChannel.prototype.postMessage = () => {}
}

function collection(): RxCollection<CrashNote> {
  if (notes === null) throw new Error("call start first")
  return notes
}
