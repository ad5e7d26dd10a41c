import { createState, type Presence, type PresenceEntry, type PresenceValue } from "@dunlin/core"
import { LoroDoc } from "loro-crdt"
import { expect, test } from "vitest"

import { attachByHand } from "../../test/hand-driven.ts"
import { memoryStore } from "../store/memory-store.ts"
import { CURSOR_FIELD, presenceCursor, readRemoteCursors } from "./presence-cursor.ts"
import { textOf } from "./text-source.ts"

function createBoard(): { readonly presence: Presence; readonly sent: PresenceValue[] } {
  const sent: PresenceValue[] = []
  const send = (value: PresenceValue | null): void => void sent.push({ ...value })
  const presence: Presence = {
    set: send,
    setField: (field, value) => send({ ...sent.at(-1), [field]: value }),
    local: () => sent.at(-1) ?? null,
    others: createState<ReadonlyMap<string, PresenceEntry>>(new Map()),
  }
  return { presence, sent }
}

function textWith(content: string) {
  const doc = new LoroDoc()
  doc.getText("body").insert(0, content)
  doc.commit()
  return { doc, body: doc.getText("body"), source: textOf(doc, "body") }
}

test.each([
  ["in the middle", 5],
  ["at the end", 11],
])("typing %s sends no presence: the caret stands before the same character", (_, start) => {
  const { doc, body, source } = textWith("hello world")
  const { presence, sent } = createBoard()
  const cursor = presenceCursor(presence)
  let at = start
  cursor.set(source, at, at)
  for (const letter of "and so on") {
    body.insert(at++, letter)
    doc.commit()
    cursor.set(source, at, at)
  }
  body.delete(--at, 1)
  doc.commit()
  cursor.set(source, at, at)
  expect(sent).toHaveLength(1)
  cursor.set(source, 0, 0)
  expect(sent).toHaveLength(2)
})

test("a caret takes half of what a selection takes, and both are read where they stand", () => {
  const { doc, source } = textWith("hello world")
  const { presence, sent } = createBoard()
  const cursor = presenceCursor(presence)
  cursor.set(source, 5, 5)
  cursor.set(source, 2, 5)
  const size = (value: PresenceValue | undefined): number => JSON.stringify(value).length
  expect(size(sent[1]) - size(sent[0])).toBeGreaterThan(25)
  const other = new LoroDoc()
  other.import(doc.export({ mode: "snapshot" }))
  const read = sent.map((value) => {
    const session = "ab".repeat(16)
    const [seen] = readRemoteCursors(
      textOf(other, "body"),
      new Map([[session, { session, device: null, value }]]),
    )
    return [seen?.anchor, seen?.head]
  })
  expect(read).toEqual([
    [5, 5],
    [2, 5],
  ])
})

test("an editor that outlives its document shows nobody, and is nowhere", async () => {
  const { docs } = await attachByHand({ name: "notes", store: memoryStore() })
  const note = await docs.open("x")
  note.doc.getText("body").insert(0, "hello")
  const source = textOf(note, "body")
  const { presence, sent } = createBoard()
  const cursor = presenceCursor(presence)
  cursor.set(source, 2, 2)
  expect(sent.at(-1)?.[CURSOR_FIELD]).not.toBeNull()
  await note.close()
  cursor.set(source, 3, 3)
  expect(sent.at(-1)?.[CURSOR_FIELD]).toBeNull()
  const value = { [CURSOR_FIELD]: { document: "x", text: "cid:root-body:Text", anchor: "" } }
  expect(readRemoteCursors(source, new Map([["s", { session: "s", device: null, value }]]))).toEqual([])
})
