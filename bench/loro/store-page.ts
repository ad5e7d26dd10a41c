import { createInvite, memoryIdentity, openRoom } from "@dunlin/core"
import { indexedDbStore, type LoroDocuments, loroReplica } from "@dunlin/loro"

/** The same room on every visit, so that the index it left behind is used. */
function invite(): string {
  const known = localStorage.getItem("invite") ?? createInvite()
  localStorage.setItem("invite", known)
  return known
}

async function open(): Promise<{ readonly docs: LoroDocuments; close(): Promise<void> }> {
  const room = await openRoom({ invite: invite(), identity: memoryIdentity(), transports: [] })
  const docs = await room.replicate(loroReplica({ name: "many", store: indexedDbStore("many") }))
  return { docs, close: () => room.close() }
}

export async function fill(count: number): Promise<void> {
  const { docs, close } = await open()
  for (let from = 0; from < count; from += 100) {
    await Promise.all(
      Array.from({ length: Math.min(100, count - from) }, async (_, at) => {
        const document = await docs.open(`document-${from + at}`)
        document.doc.getText("body").insert(0, `Document ${from + at}, with a line of text in it.`)
        await document.close()
      }),
    )
  }
  await close()
}

export async function ready(): Promise<{ readonly ms: number; readonly memoryMb: number }> {
  const heap = (): number =>
    (performance as { memory?: { usedJSHeapSize: number } }).memory?.usedJSHeapSize ?? 0
  const before = heap()
  const begun = performance.now()
  const { close } = await open()
  const ms = performance.now() - begun
  const memoryMb = (heap() - before) / 1e6
  await close()
  return { ms, memoryMb }
}
