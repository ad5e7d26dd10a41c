import { createState } from "@dunlin/core"
import { type DocumentStore, loroReplica, memoryStore } from "@dunlin/loro"
import { expect, it } from "vitest"
import { readDocument } from "../data/entries.ts"
import { noRoom } from "../room/no-room.ts"
import type { Workspace } from "../workspace/workspace.ts"
import { unpackArchive } from "./archive.ts"
import { exportWorkspace } from "./export.ts"

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

  const entries = [readDocument({ id: "a", title: "A", tags: [], created: 1, updated: 1 })]
  const workspace = {
    documents: { entries: { ready: () => Promise.resolve(entries) } },
    tasks: { entries: { ready: () => Promise.resolve([]) } },
    session: { loadNotes: () => undefined, notes: createState({ type: "ready", notes }) },
  } as unknown as Workspace
  const { blob } = await exportWorkspace(workspace)
  const { documents } = unpackArchive(new Uint8Array(await blob.arrayBuffer()))
  expect(documents.map(({ body }) => body)).toEqual(["not stored"])
  isFull = false
  await attached.detach()
})
