import { createInvite, createState, memoryIdentity, openRoom, type Room } from "@dunlin/core"
import { createMemoryNetwork } from "@dunlin/core/testing"
import { type LoroDocuments, loroReplica, type MemoryStore, memoryStore } from "@dunlin/loro"
import { afterEach, expect, it, vi } from "vitest"
import { readDocument, type DocumentEntry } from "../data/entries.ts"
import { smallStore } from "../device/small-store.ts"
import { keepContent } from "../documents/delete-document.ts"
import { readContent } from "../documents/document-content.ts"
import type { Workspace } from "../workspace/workspace.ts"
import { createLostEdits, type LostEdits } from "./lost-edits.ts"
import { noRoom } from "./no-room.ts"

const opened: { close(): unknown }[] = []
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one.close()
})

const ENTRY = readDocument({ id: "tides", title: "Tides", tags: ["field"], created: 1, updated: 1 })
const TEXT = "High water at noon. Low water at six."
let tests = 0

/** What one page knows, and two devices whose rooms meet. */
function createScene() {
  const name = `scene-${tests++}`
  const network = createMemoryNetwork()
  const invite = createInvite()
  const entries = createState<readonly DocumentEntry[] | null>([ENTRY])
  const cached = new Map<string, string>()

  function openPage(): LostEdits {
    const edits = createLostEdits({
      name,
      documents: { entries: { ...entries, ready: async () => entries.get() ?? [], close: () => undefined } },
      bodies: { load: async () => undefined, text: (id) => cached.get(id) },
      settleMs: 50,
    })
    opened.push(edits)
    return edits
  }

  function follow(edits: LostEdits, documents: LoroDocuments): void {
    documents.subscribe((event) => {
      if (event.type === "deleted") void edits.deleted(event.id, event.origin)
      else if (event.origin === "local") edits.edited(event.id)
    })
    edits.attach(documents)
  }

  return {
    entries,
    cached,
    openPage,
    follow,
    marks: () => smallStore.read(`unshared-${name}`) ?? "",
    async join(store: MemoryStore): Promise<{ readonly room: Room; readonly documents: LoroDocuments }> {
      const room = await openRoom({ invite, transports: [network.transport()], identity: memoryIdentity() })
      opened.push(room)
      return { room, documents: await room.replicate(loroReplica({ name: "notes", store })) }
    },
  }
}

async function write(documents: LoroDocuments, text: string): Promise<void> {
  await using document = await documents.open("tides")
  document.doc.getText("body").insert(document.doc.getText("body").length, text)
  document.doc.getMap("meta").set("description", "For the harbour")
  document.commit()
}

/** Both devices have a document; this one writes in it alone, and the other deletes it meanwhile. */
async function writeApart({ join, openPage, follow, entries }: ReturnType<typeof createScene>) {
  const [ours, theirs] = [memoryStore(), memoryStore()]
  const here = await join(ours)
  const there = await join(theirs)
  await write(here.documents, "High water at noon.")
  await here.documents.synced()
  await here.room.close()
  const alone = await loroReplica({ name: "notes", store: ours }).attach(noRoom())
  const page = openPage()
  follow(page, alone.handle)
  await write(alone.handle, " Low water at six.")
  await alone.detach()
  page.close()
  await there.documents.delete("tides")
  // The next page reads the list before it meets anybody.
  entries.set([ENTRY])
  return { ours, there }
}

it("whoever wrote in a closed document that others deleted is told once, and can keep what was in it", async () => {
  const scene = createScene()
  const { ours } = await writeApart(scene)
  const [page, otherTab] = [scene.openPage(), scene.openPage()]
  const { documents } = await scene.join(ours)
  scene.follow(page, documents)
  scene.entries.set([])
  await vi.waitFor(() => expect(page.lost.get()).toHaveLength(1))
  const [lost] = page.lost.get()
  expect(lost).toEqual({ id: "tides", title: "Tides", tags: ["field"], text: TEXT, description: "For the harbour", language: "" }) // prettier-ignore
  await vi.waitFor(() => expect(otherTab.lost.get()).toEqual([lost]))
  expect(scene.marks()).toBe("")

  const made: unknown[] = []
  const workspace = {
    session: { loadNotes: () => undefined, notes: createState({ type: "ready", notes: documents }) },
    documents: { create: async (fields: unknown) => `copy-${made.push(fields)}` },
  }
  if (lost === undefined) throw new Error("nothing to keep")
  const id = await keepContent(workspace as unknown as Workspace, lost)
  expect(made).toEqual([{ title: "Tides", tags: ["field"] }])
  await using copy = await documents.open(id)
  expect(readContent(copy.doc)).toEqual({ text: TEXT, description: "For the harbour", language: "" })

  page.dismiss("tides")
  await vi.waitFor(() => expect(otherTab.lost.get()).toEqual([]))
  expect(scene.openPage().lost.get()).toEqual([])
})

it("without a text that was read in time, the one in the cache is kept", async () => {
  const scene = createScene()
  scene.cached.set("tides", TEXT)
  const page = scene.openPage()
  page.edited("tides")
  await page.deleted("tides", "remote")
  expect(page.lost.get()).toMatchObject([{ title: "Tides", text: TEXT }])
})

it("nobody is told of what others had seen, or of a deletion of their own", async () => {
  const scene = createScene()
  scene.cached.set("tides", TEXT)
  const here = await scene.join(memoryStore())
  const there = await scene.join(memoryStore())
  const page = scene.openPage()
  scene.follow(page, here.documents)
  await write(here.documents, TEXT)
  await vi.waitFor(() => expect(scene.marks()).not.toBe(""))
  await vi.waitFor(() => expect(scene.marks()).toBe(""))
  await there.documents.delete("tides")
  await vi.waitFor(async () => expect(await here.documents.list()).toEqual([]))

  page.edited("tides")
  await page.deleted("tides", "local")
  expect(scene.marks()).toBe("")
  expect(page.lost.get()).toEqual([])
})

it("what is stored by another version, or is damaged, counts as nothing", () => {
  const scene = createScene()
  const page = scene.openPage()
  for (const text of ["{", "7", '{"a":1}', "[3,null]"]) {
    smallStore.write(`unshared-scene-${tests - 1}`, text)
    page.edited("tides")
    expect(scene.marks()).toBe('["tides"]')
  }
})
