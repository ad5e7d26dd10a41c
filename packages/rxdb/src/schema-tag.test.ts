import { readFileSync } from "node:fs"

import { createRxDatabase, type RxCollection, type RxJsonSchema } from "rxdb/plugins/core"
import { getRxStorageMemory } from "rxdb/plugins/storage-memory"
import { expect, test } from "vitest"
import { rxdbReplica } from "./index.ts"

// See docs/protocol/register.md: two devices with different tags share nothing.
const { schemaTags } = JSON.parse(
  readFileSync(new URL("../../core/vectors/register.json", import.meta.url), "utf8"),
) as {
  readonly schemaTags: readonly { readonly schema: RxJsonSchema<unknown>; readonly schemaTag: string }[]
}

test.each(schemaTags)("a frozen schema has its tag: $schemaTag", async ({ schema, schemaTag }) => {
  const database = await createRxDatabase({
    name: schemaTag,
    storage: getRxStorageMemory(),
    multiInstance: false,
  })
  const { shared } = await database.addCollections({ shared: { schema } })
  expect(rxdbReplica(shared as RxCollection).schemaTag).toBe(schemaTag)
  await database.close()
})
