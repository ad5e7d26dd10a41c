import { describe, test } from "vitest"
import { replicaContract } from "@dunlin/core/testing"
import { type LoroDocuments, loroReplica, memoryStore } from "@dunlin/loro"

describe("a replica of Loro documents", () => {
  const cases = replicaContract<LoroDocuments>({
    create: () => loroReplica({ name: "notes", store: memoryStore() }),
    async write(documents, key, value) {
      const document = await documents.open(key)
      document.doc.getMap("values").set("value", value)
      await document.saved()
      await document.close()
    },
  })
  for (const { name, run } of cases) test(name, run)
})
