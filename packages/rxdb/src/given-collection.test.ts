import { addRxPlugin, createRxDatabase, type RxCollection, type RxDatabase } from "rxdb/plugins/core"
import { RxDBStatePlugin } from "rxdb/plugins/state"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { afterAll, beforeAll, expect, test } from "vitest"
import { getConnectionHandlerSimplePeer, replicateWebRTC, rxdbReplica } from "./index.ts"

const schema = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: { id: { type: "string", maxLength: 40 } },
  required: ["id"],
} as const

let database: RxDatabase
let collections: Record<string, RxCollection>
let other: RxDatabase
let stateCollection: unknown
beforeAll(async () => {
  addRxPlugin(RxDBStatePlugin)
  database = await createRxDatabase({
    name: "given-collection",
    storage: getRxStorageMemory(),
    multiInstance: false,
  })
  collections = await database.addCollections({ todos: { schema }, notes: { schema } })
  other = await createRxDatabase({ name: "given-state", storage: getRxStorageMemory(), multiInstance: false })
  stateCollection = (await other.addState("view")).collection
})
afterAll(() => Promise.all([database.close(), other.close()]))

const wrong = {
  undefined: [() => undefined, "it is undefined. Pass a collection"],
  null: [() => null, "it is null. Pass a collection"],
  "the database": [() => database, "Pass one of its collections: database.todos, database.notes"],
  "all collections": [() => collections, "Pass one of them"],
  "a promise": [() => database.addCollections({}), "Await addCollections()"],
  "a query": [() => collections["todos"]?.find(), "it is not an RxCollection"],
  "the collection of a state": [() => stateCollection, "it belongs to database.addState()"],
  "a name": [() => "todos", "it is not an RxCollection"],
} as const

test.each(Object.entries(wrong))(
  "%s is no collection, and the error says what to pass",
  async (_, [make, says]) => {
    const given = make() as never
    expect(() => rxdbReplica(given)).toThrow(
      expect.objectContaining({
        name: "ReplicaError",
        code: "invalid-option",
        message: expect.stringContaining(says),
      }),
    )
    const options = {
      collection: given,
      topic: "a-topic-for-no-collection",
      connectionHandlerCreator: getConnectionHandlerSimplePeer("ws://127.0.0.1:1"),
      pull: {},
    }
    await expect(replicateWebRTC(options)).rejects.toMatchObject({
      name: "DropInError",
      code: "invalid-option",
      message: expect.stringContaining(says) as string,
    })
  },
)

test("a call without options says the same", async () => {
  await expect(replicateWebRTC(undefined as never)).rejects.toMatchObject({ code: "invalid-option" })
})
