import { createState } from "@dunlin/core"
import { type DocumentStore, type LoroDocuments, loroReplica, memoryStore } from "@dunlin/loro"
import { strFromU8, unzipSync } from "fflate"
import { expect, it } from "vitest"
import { readDocument } from "../data/entries.ts"
import { noRoom } from "../room/no-room.ts"
import type { Workspace } from "../workspace/workspace.ts"
import { unpackArchive } from "./archive.ts"
import { describeExport, exportWorkspace } from "./export.ts"

const workspaceOf = (notes: LoroDocuments, titlesById: Readonly<Record<string, string>>): Workspace => {
  const entries = Object.entries(titlesById).map(([id, title]) =>
    readDocument({ id, title, tags: [], created: 1, updated: 1 }),
  )
  return {
    documents: { entries: { ready: () => Promise.resolve(entries) } },
    tasks: { entries: { ready: () => Promise.resolve([]) } },
    session: { loadNotes: () => undefined, notes: createState({ type: "ready", notes }) },
  } as unknown as Workspace
}

it("what cannot be stored any more can still be exported", async () => {
  let isFull = false
  const disk = memoryStore()
  const store: DocumentStore = {
    name: "small",
    async open() {
      const opened = await disk.open()
      return {
        ...opened,
        commit: (batch) => (isFull ? Promise.reject(new Error("no space left")) : opened.commit(batch)),
      }
    },
  }
  const attached = await loroReplica({ name: "notes", store }).attach(noRoom())
  const notes = attached.handle
  const document = await notes.open("a")
  document.doc.getText("body").insert(0, "stored")
  await document.saved()
  isFull = true
  document.doc.getText("body").insert(0, "not ")
  await expect(document.saved()).rejects.toMatchObject({ code: "storage-failed" })

  const { blob } = await exportWorkspace(workspaceOf(notes, { a: "A" }))
  const { documents } = unpackArchive(new Uint8Array(await blob.arrayBuffer()))
  expect(documents.map(({ body }) => body)).toEqual(["not stored"])
  isFull = false
  await attached.detach()
})

it("what cannot be read is left out, and named in the zip and to the person", async () => {
  const disk = memoryStore()
  const first = await loroReplica({ name: "notes", store: disk }).attach(noRoom())
  for (const id of ["damaged", "whole", "quick-note"]) {
    await using document = await first.handle.open(id)
    document.doc.getText("body").insert(0, `text of ${id}`)
    await document.saved()
  }
  await first.detach()
  const raw = await disk.open()
  for (const id of ["damaged", "quick-note"]) {
    await raw.commit({ logs: [{ id, sequence: 0, bytes: new Uint8Array(9) }] })
  }
  await raw.close()
  const attached = await loroReplica({ name: "notes", store: disk }).attach(noRoom())
  const titles = { damaged: "Lease", whole: "Crew list" }
  const exported = await exportWorkspace(workspaceOf(attached.handle, titles))
  expect(exported).toMatchObject({ documents: 1, missing: [{ title: "Lease" }, { title: "The quick note" }] })
  expect(describeExport(exported)).toContain("“Lease”")
  const bytes = new Uint8Array(await exported.blob.arrayBuffer())
  expect(unpackArchive(bytes)).toMatchObject({ documents: [{ body: "text of whole" }], quickNote: "" })
  const missing = strFromU8(unzipSync(bytes)["missing.txt"] ?? new Uint8Array(0))
  expect(missing).toContain("Lease")
  expect(missing).toContain("damaged on this device")
  await attached.detach()
})

it("an export without its room says so, and makes no empty zip", async () => {
  const attached = await loroReplica({ name: "notes", store: memoryStore() }).attach(noRoom())
  await attached.detach()
  await expect(exportWorkspace(workspaceOf(attached.handle, { a: "A" }))).rejects.toMatchObject({
    code: "closed",
  })
})
