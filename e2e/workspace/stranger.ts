import { memoryIdentity, openRoom, type Room } from "@dunlin/core"
import { webrtc } from "@dunlin/core/webrtc"
import { loroReplica, memoryStore } from "@dunlin/loro"
import { rxdbReplica } from "@dunlin/rxdb"
import * as wrtc from "node-datachannel/polyfill"
import { createRxDatabase, type RxCollection } from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { documentSchema, taskSchema } from "../../apps/workspace/src/data/schemas.ts"

/** Somebody with the invite and their own program: nothing that they send has been checked. */
export interface Stranger {
  readonly room: Room
  readonly documents: RxCollection
  readonly tasks: RxCollection
  /** Adds a Loro update to one document, once, and waits until somebody else has it. */
  writeText(id: string, update: Uint8Array): Promise<void>
  close(): Promise<void>
}

export async function openStranger(server: string, invite: string): Promise<Stranger> {
  const database = await createRxDatabase({
    name: `stranger-${Date.now()}`,
    storage: getRxStorageMemory(),
    multiInstance: false,
  })
  const { documents, tasks } = await database.addCollections({
    documents: { schema: documentSchema as never },
    tasks: { schema: taskSchema as never },
  })
  if (documents === undefined || tasks === undefined) throw new Error("RxDB made no collections")
  const replicas = [rxdbReplica(documents), rxdbReplica(tasks)]
  const signaling = `${server.replace("http", "ws")}signal`
  const room = await openRoom({
    invite,
    identity: memoryIdentity(),
    transports: [webrtc({ signaling, wrtc })],
  })
  for (const replica of replicas) await room.replicate(replica)
  return {
    room,
    documents,
    tasks,
    async writeText(id, update) {
      const notes = await room.replicate(loroReplica({ name: "notes", store: memoryStore() }))
      await using note = await notes.open(id)
      note.doc.import(update)
      await note.synced()
    },
    async close() {
      await room.close()
      await database.close()
    },
  }
}
