import { describe, test } from "vitest"
import { replicaContract } from "@dunlin/core/testing"
import { rxdbReplica, type RxdbHandle } from "@dunlin/rxdb"
import { createRxDatabase, type RxDatabase } from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"

describe("a replica of an RxDB collection", () => {
  const databases: RxDatabase[] = []
  const cases = replicaContract<RxdbHandle>({
    async create() {
      const name = `contract${Math.random().toString(36).slice(2)}`
      const database = await createRxDatabase({ name, storage: getRxStorageMemory(), multiInstance: false })
      databases.push(database)
      const { things } = await database.addCollections({
        things: {
          schema: {
            version: 0,
            primaryKey: "id",
            type: "object",
            properties: { id: { type: "string", maxLength: 50 }, value: { type: "number" } },
            required: ["id", "value"],
          },
        },
      })
      return rxdbReplica(things)
    },
    write: async ({ collection }, key, value) => void (await collection.upsert({ id: key, value })),
    async end() {
      for (const database of databases.splice(0)) await database.close()
    },
  })
  for (const { name, run } of cases) test(name, run)
})
