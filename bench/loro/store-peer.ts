import { loroReplica } from "@dunlin/loro"
import { lmdbStore } from "@dunlin/loro/lmdb"
import { createEngineNode } from "../../packages/loro/test/engine-network.ts"

/** Writes `count` small documents, and the index that a room leaves behind. */
export async function fill(path: string, count: number): Promise<void> {
  const { engine } = createEngineNode()
  const docs = await engine.replicate(
    loroReplica({ name: "many", store: lmdbStore({ path, durability: "relaxed" }) }),
  )
  for (let from = 0; from < count; from += 100) {
    await Promise.all(
      Array.from({ length: Math.min(100, count - from) }, async (_, at) => {
        const document = await docs.open(`document-${from + at}`)
        document.doc.getText("body").insert(0, `Document ${from + at}, with a line of text in it.`)
        await document.close()
      }),
    )
  }
  await engine.close()
}

export async function ready(
  path: string,
): Promise<{ readonly ms: number; readonly memoryMb: number; readonly count: number }> {
  const gc = (globalThis as { gc?: () => void }).gc
  gc?.()
  const before = process.memoryUsage().rss
  const begun = performance.now()
  const { engine } = createEngineNode()
  const docs = await engine.replicate(loroReplica({ name: "many", store: lmdbStore({ path }) }))
  const ms = performance.now() - begun
  const memoryMb = (process.memoryUsage().rss - before) / 1e6
  const { length } = await docs.list()
  await engine.close()
  return { ms, memoryMb, count: length }
}
