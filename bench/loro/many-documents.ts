import { loroReplica, type LoroDocuments, memoryStore, type MemoryStore } from "@dunlin/loro"
import { type EngineNode, linkEngines, shareOn } from "../../packages/loro/test/engine-network.ts"
import { report } from "./report.ts"

interface Side {
  readonly node: EngineNode
  readonly handle: LoroDocuments
}

/** Two devices that hold the same documents meet again. All bytes count: hello, roots, data, acknowledgements. */
export async function measureManyDocuments(count: number): Promise<void> {
  const stores = [memoryStore("left"), memoryStore("right")] as const
  const opened: string[] = []
  let sides = await openSides(stores)
  for (let at = 0; at < count; at++) await write(sides[0].handle, `doc-${at}`, `Document ${at}`)
  const link = linkEngines(sides[0].node, sides[1].node)
  const begun = performance.now()
  await sides[0].node.engine.synced({ signal: AbortSignal.timeout(600_000) })
  const firstMs = performance.now() - begun
  const firstBytes = link.bytes()
  await closeSides(sides)

  sides = await openSides(stores.map((store) => watched(store, opened)) as [MemoryStore, MemoryStore])
  opened.length = 0
  const unchanged = await reconnect(sides)
  const openedUnchanged = opened.length
  for (let at = 0; at < 10; at++)
    await write(sides[at % 2 === 0 ? 0 : 1].handle, `doc-${at * 97}`, `changed ${at}`)
  const changed = await reconnect(sides)
  await closeSides(sides)

  report({
    work: `${count.toLocaleString("en")} documents, a first meeting of two engines in one process`,
    values: { seconds: firstMs / 1_000, bytes: firstBytes, "bytes a document": firstBytes / count },
  })
  report({
    work: `${count.toLocaleString("en")} documents, unchanged, reconnect`,
    values: { "bytes in all": unchanged.bytes, "documents opened": openedUnchanged, ms: unchanged.ms },
    target: "≤ 200 bytes after the handshake, none opened",
    met: unchanged.bytes - unchanged.helloBytes <= 200 && openedUnchanged === 0,
  })
  report({
    work: `${count.toLocaleString("en")} documents, 10 changed, reconnect`,
    values: { "bytes in all": changed.bytes, ms: changed.ms },
    target: "≤ 6 KB and the deltas (about 300 bytes each)",
    met: changed.bytes <= 6_144 + 10 * 400,
  })
}

async function openSides(stores: readonly [MemoryStore, MemoryStore]): Promise<readonly [Side, Side]> {
  const [left, right] = await Promise.all(
    stores.map((store) => shareOn(loroReplica({ name: "notes", store }))),
  )
  if (left === undefined || right === undefined) throw new Error("two sides were to be opened")
  return [left, right]
}

async function closeSides(sides: readonly Side[]): Promise<void> {
  await Promise.all(sides.map((side) => side.node.engine.close()))
}

async function write(docs: LoroDocuments, id: string, text: string): Promise<void> {
  const document = await docs.open(id)
  document.doc.getText("body").insert(0, text)
  document.commit()
  await document.close()
}

/** Links the two again, waits until both are live and quiet, and cuts the link. */
async function reconnect([left, right]: readonly [Side, Side]): Promise<{
  readonly bytes: number
  readonly helloBytes: number
  readonly ms: number
}> {
  const begun = performance.now()
  const link = linkEngines(left.node, right.node)
  const helloBytes = link.bytes()
  const live = (side: Side): boolean =>
    [...side.handle.links.get().values()].some(
      (status) => status.phase === "live" && status.pendingIn + status.pendingOut === 0,
    )
  while (!live(left) || !live(right)) await new Promise((resolve) => setTimeout(resolve, 2))
  const ms = performance.now() - begun
  await new Promise((resolve) => setTimeout(resolve, 2_500))
  const bytes = link.bytes()
  link.cut()
  await new Promise((resolve) => setTimeout(resolve, 200))
  return { bytes, helloBytes, ms }
}

/** Notes which documents are read from the store. */
function watched(store: MemoryStore, opened: string[]): MemoryStore {
  return {
    ...store,
    async open(options) {
      const inner = await store.open(options)
      return {
        ...inner,
        load(id) {
          opened.push(id)
          return inner.load(id)
        },
      }
    },
  }
}
