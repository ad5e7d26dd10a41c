// @vitest-environment happy-dom
import { EditorView } from "@codemirror/view"
import { createState, type Presence, type PresenceEntry, type PresenceValue } from "@dunlin/core"
import fc from "fast-check"
import { LoroDoc } from "loro-crdt"
import { afterEach, beforeEach, describe, expect, test } from "vitest"

import { attachByHand } from "../../test/hand-driven.ts"
import { hostileUpdates } from "../../test/hostile-updates.ts"
import { encodeDelta } from "../replica/document-delta.ts"
import type { DocumentStore } from "../store/document-store.ts"
import { memoryStore } from "../store/memory-store.ts"
import { presenceCursor } from "../text/presence-cursor.ts"
import { textOf } from "../text/text-source.ts"
import { loroCodeMirror } from "./loro-codemirror.ts"

let doc: LoroDoc
let view: EditorView

beforeEach(() => {
  doc = new LoroDoc()
})
afterEach(() => view.destroy())

function mount(initial = "", presence?: Presence): void {
  if (initial !== "") doc.getText("body").insert(0, initial)
  doc.commit()
  const text = textOf(doc, "body")
  view = new EditorView({
    parent: document.body,
    doc: text.text().toString(),
    extensions: [loroCodeMirror(presence === undefined ? { text } : { text, presence })],
  })
}

const body = (): string => doc.getText("body").toString()
const shown = (): string => view.state.doc.toString()

function remote(edit: (body: ReturnType<LoroDoc["getText"]>) => void): void {
  const other = new LoroDoc()
  other.import(doc.export({ mode: "snapshot" }))
  edit(other.getText("body"))
  other.commit()
  doc.import(other.export({ mode: "update", from: doc.oplogVersion() }))
}

function press(key: string, shiftKey = false): void {
  view.contentDOM.dispatchEvent(
    new KeyboardEvent("keydown", { key, ctrlKey: true, shiftKey, bubbles: true, cancelable: true }),
  )
}

describe("a bound editor", () => {
  test("writes a long paste in pieces", () => {
    mount("start end")
    const paste = "🐦 word\n".repeat(5_000)
    view.dispatch({ changes: { from: 6, insert: paste } })
    expect(body()).toBe(`start ${paste}end`)
    expect(doc.exportJsonUpdates().changes.flatMap((change) => change.ops).length).toBeGreaterThan(8)
    remote((text) => text.insert(0, "zero "))
    expect(shown()).toBe(`zero start ${paste}end`)
  })

  test("writes what is typed and shows what comes", () => {
    mount("hello")
    view.dispatch({
      changes: [
        { from: 0, insert: "> " },
        { from: 5, insert: "!" },
      ],
    })
    expect(body()).toBe("> hello!")
    view.dispatch({ selection: { anchor: 3 } })
    remote((text) => text.insert(0, "zero "))
    expect(shown()).toBe("zero > hello!")
    expect(view.state.selection.main.head).toBe(8)
  })

  test("is set to the text when it begins with another one", async () => {
    doc.getText("body").insert(0, "the text")
    doc.commit()
    view = new EditorView({
      doc: "something old",
      extensions: [loroCodeMirror({ text: textOf(doc, "body") })],
    })
    await Promise.resolve()
    expect(shown()).toBe("the text")
    expect(body()).toBe("the text")
  })

  test("undoes what was typed here and nothing else", () => {
    mount()
    view.dispatch({ changes: { from: 0, insert: "mine" } })
    remote((text) => text.insert(0, "theirs "))
    press("z")
    expect(shown()).toBe("theirs ")
    expect(body()).toBe("theirs ")
    press("y")
    expect(shown()).toBe("theirs mine")
  })

  test("takes up edits nobody committed before what is typed", async () => {
    mount("abc")
    doc.getText("body").insert(0, "uncommitted ")
    view.dispatch({ changes: { from: 3, insert: "d" } })
    expect(body()).toBe("uncommitted abcd")
    await Promise.resolve()
    expect(shown()).toBe("uncommitted abcd")
  })

  test("gives back what it showed when the document is read-only", async () => {
    mount("abc")
    doc.detach()
    view.dispatch({ changes: { from: 3, insert: "d" } })
    await Promise.resolve()
    expect(shown()).toBe("abc")
    expect(body()).toBe("abc")
  })

  test("counts carriage returns as Loro does", () => {
    mount("a\r\nb")
    view.dispatch({ changes: { from: 4, insert: "c" } })
    expect(body()).toBe("a\r\nbc")
  })
})

describe("cursors of others", () => {
  const others = createState<ReadonlyMap<string, PresenceEntry>>(new Map())
  function fakePresence(): { presence: Presence; local: () => PresenceValue } {
    let value: Record<string, unknown> = {}
    return {
      local: () => value,
      presence: {
        set: (next) => void (value = { ...next }),
        setField: (field, next) => void (value = { ...value, [field]: next }),
        local: () => value,
        others,
      },
    }
  }
  const enter = (session: string, value: PresenceValue): void =>
    others.set(new Map([[session, { session, device: null, value }]]))

  // Carets are drawn over the text once it has been measured, in the next frame.
  const frame = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 50))
  const nameShown = (): Element | null => view.dom.querySelector(".dunlin-caret-name")

  test("are shown with their name, stay with the text, and go with their owner", async () => {
    mount("hello world", fakePresence().presence)
    const theirs = fakePresence()
    presenceCursor(theirs.presence).set(textOf(doc, "body"), 0, 5)
    enter("ab".repeat(16), { ...theirs.local(), name: "<b>Ada</b>", color: "#336699" })
    await frame()
    expect(nameShown()?.textContent).toBe("<b>Ada</b>")
    expect(view.dom.querySelector(".dunlin-selection")?.textContent).toBe("hello")
    remote((text) => text.insert(0, ">> "))
    expect(view.dom.querySelector(".dunlin-selection")?.textContent).toBe("hello")
    others.set(new Map())
    await frame()
    expect(view.dom.querySelector(".dunlin-caret")).toBeNull()
  })

  test("are never part of the text", async () => {
    mount("hello world", fakePresence().presence)
    const theirs = fakePresence()
    presenceCursor(theirs.presence).set(textOf(doc, "body"), 3, 3)
    const before = view.contentDOM.innerHTML
    enter("ab".repeat(16), { ...theirs.local(), name: "Ada" })
    await frame()
    expect(nameShown()?.textContent).toBe("Ada")
    expect(view.contentDOM.innerHTML).toBe(before)
  })

  test("show their name anew only when their owner moves them", async () => {
    mount("hello world", fakePresence().presence)
    const theirs = fakePresence()
    const session = "ab".repeat(16)
    const place = async (at: number, extra: PresenceValue = {}): Promise<Element | null> => {
      presenceCursor(theirs.presence).set(textOf(doc, "body"), at, at)
      enter(session, { ...theirs.local(), name: "Ada", ...extra })
      await frame()
      return nameShown()
    }
    const first = await place(5)
    remote((text) => text.insert(0, ">> "))
    expect(await place(8, { status: "away" })).toBe(first)
    remote((text) => text.insert(8, "!"))
    await frame()
    const typed = nameShown()
    expect(typed).not.toBe(first)
    expect(await place(9)).toBe(typed)
    expect(await place(7)).not.toBe(typed)
    expect(view.dom.querySelectorAll(".dunlin-caret")).toHaveLength(1)
    expect(view.dom.querySelector(".dunlin-caret")?.textContent).toContain("Ada")
  })

  test("may be any rubbish", async () => {
    mount("hello", fakePresence().presence)
    const rubbish: PresenceValue[] = [
      {},
      { cursor: 7 },
      { cursor: null },
      { cursor: { document: "", text: "cid:root-body:Text", anchor: "!!!", head: "AAAA" } },
      { cursor: { document: "", text: "cid:root-body:Text", anchor: "A".repeat(100_000), head: "" } },
      { cursor: { document: "", text: "cid:root-body:Text", anchor: 5, head: {} } },
    ]
    for (const value of rubbish) {
      enter("cd".repeat(16), value)
      await frame()
      expect(view.dom.querySelector(".dunlin-caret")).toBeNull()
    }
    enter("cd".repeat(16), {
      cursor: { document: "", text: "cid:root-body:Text", anchor: "", head: "" },
      color: "red;display:none",
      name: { toString: 1 },
    })
    await frame()
    expect(view.dom.querySelector<HTMLElement>(".dunlin-caret")?.style.borderColor).toMatch(/^#[0-9a-f]{6}$/)
  })
})

test("whatever is typed and received, editor and text are equal", async () => {
  const action = fc.record({
    kind: fc.constantFrom("type", "delete", "uncommitted", "remote", "undo", "redo"),
    where: fc.nat(200),
    text: fc.string({ unit: fc.constantFrom("a", "b", "🐦", "\n", " "), minLength: 1, maxLength: 5 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
      doc = new LoroDoc()
      mount()
      for (const { kind, where, text } of actions) {
        const at = boundary(shown(), where)
        const end = boundary(shown(), at + 3)
        if (kind === "type") view.dispatch({ changes: { from: at, insert: text } })
        else if (kind === "delete") view.dispatch({ changes: { from: at, to: Math.max(at, end) } })
        else if (kind === "remote")
          remote((target) => target.insert(boundary(target.toString(), where), text))
        else if (kind === "uncommitted") doc.getText("body").insert(boundary(body(), where), text)
        else press(kind === "undo" ? "z" : "y")
        if (kind === "uncommitted") continue
        doc.commit()
        await Promise.resolve()
        expect(shown()).toBe(body())
      }
      view.destroy()
    }),
    { numRuns: 100 },
  )
})

function boundary(content: string, where: number): number {
  const at = where % (content.length + 1)
  return /[\uDC00-\uDFFF]/.test(content[at] ?? "") ? at - 1 : at
}

describe("an editor of a document that an update broke", () => {
  test("goes on with the instance that takes its place, also where somebody typed in between", async () => {
    const { snapshot, traps } = hostileUpdates
    const disk = memoryStore()
    let reading = (): void => undefined
    const store: DocumentStore = {
      name: "watched",
      async open() {
        const opened = await disk.open()
        return {
          ...opened,
          load(id) {
            reading()
            return opened.load(id)
          },
        }
      },
    }
    const a = await attachByHand({ name: "notes", store })
    await a.docs.import("x", snapshot)
    await using document = await a.docs.open("x")
    const text = textOf(document, "body")
    const crashes: unknown[] = []
    view = new EditorView({
      parent: globalThis.document.body,
      doc: text.text().toString(),
      extensions: [
        loroCodeMirror({ text }),
        EditorView.exceptionSink.of((error) => void crashes.push(error)),
      ],
    })
    const broken = document.doc
    reading = () => view.dispatch({ changes: { from: 0, insert: "in between " } })
    await a.attached.join(
      [{ key: "x", delta: encodeDelta({ type: "push", update: traps[0] ?? snapshot }) }],
      { session: "ee".repeat(16), device: "ee".repeat(32) },
    )
    expect(document.doc).not.toBe(broken)
    await Promise.resolve()
    view.dispatch({ changes: { from: 0, insert: "afterwards " } })
    expect(document.doc.getText("body").toString()).toContain("afterwards ")
    expect(shown()).toBe(document.doc.getText("body").toString())
    expect(crashes).toHaveLength(1)
  })
})
