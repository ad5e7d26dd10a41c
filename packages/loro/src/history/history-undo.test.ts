import type { LoroDoc } from "loro-crdt"
import { afterEach, expect, test } from "vitest"

import { attachByHand, type HandDriven, push } from "../../test/hand-driven.ts"
import type { LoroDocument } from "../loro-documents.ts"
import { memoryStore } from "../store/memory-store.ts"
import { createTextUndo, type TextUndo } from "../text/text-undo.ts"

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

const read = ({ doc }: { readonly doc: LoroDoc }): string => doc.getText("body").toString()

function type({ doc }: LoroDocument, text: string): void {
  doc.getText("body").push(text)
  doc.commit()
}

/** One device has typed "mine", another " theirs"; then the first has typed " late" and gone back to before that. */
async function restored(): Promise<{
  readonly a: HandDriven
  readonly b: HandDriven
  readonly mine: LoroDocument
  readonly theirs: LoroDocument
  readonly undo: TextUndo
}> {
  const [a, b] = [
    await attachByHand({ name: "notes", store: memoryStore() }),
    await attachByHand({ name: "notes", store: memoryStore() }, "cd".repeat(32)),
  ]
  ends.push(a.attached.detach, b.attached.detach)
  const [mine, theirs] = [await a.docs.open("x"), await b.docs.open("x")]
  const undo = createTextUndo(mine.doc)
  type(mine, "mine")
  await mine.saved()
  await push(a, b)
  type(theirs, " theirs")
  await theirs.saved()
  await push(b, a)
  const then = mine.doc.frontiers()
  type(mine, " late")
  await mine.saved()
  await push(a, b)
  expect(read(theirs)).toBe("mine theirs late")
  mine.history.restore(then)
  expect(read(mine)).toBe("mine theirs")
  return { a, b, mine, theirs, undo }
}

test("going back to a version is one step to undo and redo, apart from what is typed before and after", async () => {
  const { mine, undo } = await restored()
  type(mine, " more")
  type(mine, " and more")
  const seen: string[] = []
  while (undo.canUndo() && undo.undo()) seen.push(read(mine))
  expect(seen).toEqual(["mine theirs", "mine theirs late", "mine theirs", " theirs"])
  seen.splice(0)
  while (undo.canRedo() && undo.redo()) seen.push(read(mine))
  expect(seen).toEqual(["mine theirs", "mine theirs late", "mine theirs", "mine theirs more and more"])
})

test("undoing it travels like any edit, and nobody else can undo it", async () => {
  const { a, b, mine, theirs, undo } = await restored()
  const other = createTextUndo(theirs.doc)
  await mine.saved()
  await push(a, b)
  expect(read(theirs)).toBe("mine theirs")
  expect(other.undo()).toBe(false)
  expect(undo.undo()).toBe(true)
  await mine.saved()
  await push(a, b)
  expect(read(theirs)).toBe("mine theirs late")
})

test("undoing it keeps what others have typed since, and forgets no author", async () => {
  const { a, b, mine, theirs, undo } = await restored()
  await mine.saved()
  await push(a, b)
  theirs.doc.getText("body").insert(0, "new ")
  theirs.doc.commit()
  await theirs.saved()
  await push(b, a)
  undo.undo()
  expect(read(mine)).toBe("new mine theirs late")
  await mine.saved()
  const devices = mine.history.list().map(({ device }) => device)
  expect(new Set(devices)).toEqual(new Set([a.device, b.device]))
})

test("what nobody has committed yet is undone first", async () => {
  const { mine, undo } = await restored()
  mine.doc.getText("body").push(" more")
  undo.undo()
  expect(read(mine)).toBe("mine theirs")
  undo.undo()
  expect(read(mine)).toBe("mine theirs late")
})

test("somebody who has checked out a version to look at it can go back to it from there", async () => {
  const { a, b, mine, theirs, undo } = await restored()
  const then = mine.doc.frontiers()
  type(mine, " more")
  mine.doc.checkout(then)
  expect(read(mine)).toBe("mine theirs")
  theirs.doc.getText("body").insert(0, "new ")
  await theirs.saved()
  await push(b, a)
  mine.history.restore(then)
  expect([read(mine), mine.doc.isDetached()]).toEqual(["mine theirs", false])
  undo.undo()
  expect(read(mine)).toBe("new mine theirs more")
  type(mine, "!")
  await mine.saved()
  await push(a, b)
  expect(read(theirs)).toBe(read(mine))
})

test.each<[string, (doc: LoroDoc) => void]>([
  ["one step", (doc) => doc.checkoutToLatest()],
  [
    "two steps",
    (doc) => {
      doc.checkout(doc.oplogFrontiers())
      doc.attach()
    },
  ],
])(
  "what is typed after a look at an earlier version, left in %s, can be undone from the first key press on",
  async (_, leave) => {
    const { mine, undo } = await restored()
    const then = mine.doc.frontiers()
    type(mine, " more")
    mine.doc.checkout(then)
    leave(mine.doc)
    type(mine, "!")
    expect([undo.undo(), read(mine)]).toEqual([true, "mine theirs more"])
    expect([undo.redo(), read(mine)]).toEqual([true, "mine theirs more!"])
  },
)
