// @vitest-environment happy-dom
import { EditorView } from "@codemirror/view"
import type { LoroDoc } from "loro-crdt"
import { afterEach, expect, test } from "vitest"

import { attachByHand, type HandDriven } from "../../test/hand-driven.ts"
import { hostileUpdates } from "../../test/hostile-updates.ts"
import { loroCodeMirror } from "../codemirror/loro-codemirror.ts"
import type { LoroDocument } from "../loro-documents.ts"
import { encodeDelta } from "../replica/document-delta.ts"
import { memoryStore } from "../store/memory-store.ts"
import { bindTextarea } from "./bind-textarea.ts"
import { textOf } from "./text-source.ts"
import { createTextUndo } from "./text-undo.ts"

let ends: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function openNote(): Promise<{ readonly a: HandDriven; readonly note: LoroDocument }> {
  const a = await attachByHand({ name: "notes", store: memoryStore() })
  await a.docs.import("x", hostileUpdates.snapshot)
  const note = await a.docs.open("x")
  ends.push(() => a.attached.detach())
  return { a, note }
}

/** Sends an update on which Loro traps: the document is read again, as another instance. */
async function breakInstance(a: HandDriven, note: LoroDocument): Promise<void> {
  const broken: LoroDoc = note.doc
  const [trap] = hostileUpdates.traps
  if (trap === undefined) throw new Error("no update that traps")
  const delta = encodeDelta({ type: "push", update: trap })
  await a.attached.join([{ key: "x", delta }], { session: "ee".repeat(16), device: "ee".repeat(32) })
  expect(note.doc).not.toBe(broken)
}

function addField(): HTMLTextAreaElement {
  const field = document.createElement("textarea")
  document.body.append(field)
  ends.push(() => field.remove())
  return field
}

function type(field: HTMLTextAreaElement, text: string): void {
  field.value = text + field.value
  field.setSelectionRange(text.length, text.length)
  field.dispatchEvent(new InputEvent("input"))
}

test("an undo that bindings share goes on with the instance that takes the place of a broken one", async () => {
  const { a, note } = await openNote()
  const undo = createTextUndo(note.doc)
  ends.push(() => undo.close())
  const [title, body] = [addField(), addField()]
  for (const [field, name] of [
    [title, "title"],
    [body, "body"],
  ] as const) {
    const binding = bindTextarea(textOf(note, name), field, { undo })
    ends.push(() => binding.unbind())
  }
  const view = new EditorView({
    parent: document.body,
    doc: textOf(note, "more").text().toString(),
    extensions: [loroCodeMirror({ text: textOf(note, "more"), undo })],
  })
  ends.push(() => view.destroy())
  await breakInstance(a, note)
  const before = body.value
  type(title, "Title")
  type(body, "typed ")
  view.dispatch({ changes: { from: 0, insert: "more " } })
  const texts = (): readonly string[] =>
    ["title", "body", "more"].map((name) => note.doc.getText(name).toString())
  expect(texts()).toEqual(["Title", `typed ${before}`, "more "])
  while (undo.canUndo()) expect(undo.undo()).toBe(true)
  expect(texts()).toEqual(["", before, ""])
  expect([title.value, body.value, view.state.doc.toString()]).toEqual(["", before, ""])
  expect(undo.redo()).toBe(true)
})
