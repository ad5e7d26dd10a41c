import { systemRandom } from "@dunlin/core"
import { createSimulatedTime } from "@dunlin/core/testing"
import { LoroDoc, type LoroEventBatch } from "loro-crdt"
import { afterEach, expect, test } from "vitest"

import { attachByHand, type HandDriven, pull, push } from "../test/hand-driven.ts"
import type { LoroDocument } from "./loro-documents.ts"
import { readState } from "./replica/document-state.ts"
import { type LocalChange, watchDocument } from "./replica/live-document.ts"
import { memoryStore, type MemoryStore } from "./store/memory-store.ts"

const attached: HandDriven[] = []
afterEach(async () => {
  for (const one of attached.splice(0)) await one.attached.detach()
})

interface Side {
  readonly replica: HandDriven
  readonly store: MemoryStore
  readonly note: LoroDocument
}

async function open(device: string): Promise<Side> {
  const store = memoryStore()
  const replica = await attachByHand({ name: "notes", store }, device.repeat(32))
  attached.push(replica)
  return { replica, store, note: await replica.docs.open("x") }
}

const contentOf = (doc: LoroDoc): unknown => [doc.getText("body").toString(), doc.getMap("seen").toJSON()]

async function stored(store: MemoryStore): Promise<unknown> {
  const after = await attachByHand({ name: "notes", store: store.copy() })
  const note = await after.docs.open("x")
  const content = contentOf(note.doc)
  expect(after.reports).toEqual([])
  await after.attached.detach()
  return content
}

/** Keeps something up to date that is derived from the text, as applications do. */
function derive({ doc }: LoroDocument, by: LoroEventBatch["by"], commits: boolean): void {
  doc.subscribe((batch) => {
    const text = doc.getText("body").toString()
    if (batch.by !== by || doc.getMap("seen").get("text") === text) return
    doc.getMap("seen").set("text", text)
    if (commits) doc.commit()
  })
}

async function type({ note }: Side, text: string): Promise<void> {
  note.doc.getText("body").push(text)
  note.doc.commit()
  await note.saved()
}

const rounds = [
  ["pushed", "committed", push],
  ["pushed", "left uncommitted", push],
  ["asked for", "committed", (from: HandDriven, to: HandDriven) => pull(to, from, "x")],
  ["asked for", "left uncommitted", (from: HandDriven, to: HandDriven) => pull(to, from, "x")],
] as const

test.each(rounds)(
  "what a subscriber edits when it hears of something %s is stored and sent (%s)",
  async (_, commits, move) => {
    const [here, there] = [await open("ab"), await open("cd")]
    derive(here.note, "import", commits === "committed")
    for (let round = 0; round < 4; round++) {
      await type(there, `there ${round}, `)
      await move(there.replica, here.replica)
      await type(here, `here ${round}, `)
      expect(await stored(here.store)).toEqual(contentOf(here.note.doc))
      await move(here.replica, there.replica)
      expect(contentOf(there.note.doc)).toEqual(contentOf(here.note.doc))
      expect(await stored(there.store)).toEqual(contentOf(here.note.doc))
    }
    expect([...here.replica.reports, ...there.replica.reports]).toEqual([])
  },
)

test.each(["committed", "left uncommitted"])(
  "what a subscriber edits when it hears of a local edit is stored and sent (%s)",
  async (commits) => {
    const [here, there] = [await open("ab"), await open("cd")]
    derive(here.note, "local", commits === "committed")
    for (let round = 0; round < 4; round++) {
      const { doc } = here.note
      doc.getText("body").push(`${round}`)
      doc.commit()
      doc.getText("body").push(",")
      await here.note.saved()
      doc.commit()
      await type(here, "!")
      expect(await stored(here.store)).toEqual(contentOf(here.note.doc))
      await push(here.replica, there.replica)
      expect(contentOf(there.note.doc)).toEqual(contentOf(here.note.doc))
    }
  },
)

test("the room is told of what came and of the subscriber's edit one after the other", async () => {
  const [here, there] = [await open("ab"), await open("cd")]
  await type(here, "here ")
  await push(here.replica, there.replica)
  await type(there, "there ")
  const [change] = there.replica.changes.filter(({ delta }) => delta !== undefined)
  if (change?.delta === undefined) throw new Error("nothing was pushed")
  derive(here.note, "import", true)
  const sender = { session: "cd".repeat(16), device: "cd".repeat(32) }
  const [outcome] = await here.replica.attached.join([{ key: "x", delta: change.delta }], sender)
  await here.note.saved()
  expect(outcome).toMatchObject({ type: "joined", changed: true, stateHash: change.stateHash })
  expect(here.replica.changes.at(-1)).toMatchObject({ before: change.stateHash })
})

test("saved(), called by a subscriber, resolves when the edit that it was told of is durable", async () => {
  const [here, there] = [await open("ab"), await open("cd")]
  const durable: Promise<unknown>[] = []
  here.note.doc.subscribe(() => {
    const told = here.note.saved().then(() => stored(here.store))
    durable.push(told)
  })
  await type(there, "there ")
  await push(there.replica, here.replica)
  expect(durable).toHaveLength(1)
  expect(await Promise.all(durable)).toEqual([["there ", {}]])
})

test("an edit that a subscriber makes while another is exported is reported after that one, not within it", () => {
  const doc = new LoroDoc()
  const told: LocalChange[] = []
  const live = watchDocument({
    doc,
    clock: createSimulatedTime().clock(),
    random: systemRandom(),
    device: "ab".repeat(32),
    onLocal: (change) => void told.push(change),
    onForeignPeerId: () => undefined,
    onFailure: ({ reason }) => expect.fail(reason),
  })
  const text = doc.getText("body")
  text.push("first ")
  live.settle()
  let heard = 0
  doc.subscribe(() => {
    heard++
    if (heard > 2) return
    doc.getMap("seen").set("heard", heard)
    // The first of these is committed by the export.
    if (heard === 2) live.settle()
  })
  text.push("second")
  live.settle()
  live.settle()
  expect(told.slice(1).map(({ before }) => before)).toEqual(told.slice(0, -1).map(({ after }) => after))
  expect(live.state()).toEqual(readState(doc))
  live.abandon()
})
