// @vitest-environment happy-dom
import fc from "fast-check"
import { LoroDoc } from "loro-crdt"
import { afterEach, beforeEach, describe, expect, test } from "vitest"

import { bindTextarea, type TextBinding } from "./bind-textarea.ts"
import { textOf } from "./text-source.ts"

let doc: LoroDoc
let element: HTMLTextAreaElement
let binding: TextBinding

beforeEach(() => {
  doc = new LoroDoc()
  element = document.createElement("textarea")
  document.body.append(element)
})
afterEach(() => {
  binding.unbind()
  element.remove()
})

function bind(initial = ""): void {
  if (initial !== "") {
    doc.getText("body").insert(0, initial)
    doc.commit()
  }
  binding = bindTextarea(textOf(doc, "body"), element)
  element.focus()
}

function body(): string {
  return doc.getText("body").toString()
}

/** Types as the browser does: first the value changes, then the event fires. */
function type(text: string, at = element.selectionStart, end = element.selectionEnd): void {
  element.value = element.value.slice(0, at) + text + element.value.slice(end)
  element.setSelectionRange(at + text.length, at + text.length)
  element.dispatchEvent(new InputEvent("input"))
}

/** Somebody else's edit, made on the current text. */
function remote(edit: (body: ReturnType<LoroDoc["getText"]>) => void): void {
  const other = new LoroDoc()
  other.import(doc.export({ mode: "snapshot" }))
  edit(other.getText("body"))
  other.commit()
  doc.import(other.export({ mode: "update", from: doc.oplogVersion() }))
}

describe("a bound textarea", () => {
  test("shows the text and writes the smallest edit", () => {
    bind("hello world")
    expect(element.value).toBe("hello world")
    const updates: number[] = []
    const deltas: unknown[] = []
    doc.subscribeLocalUpdates((bytes) => void updates.push(bytes.length))
    doc.getText("body").subscribe((batch) => void deltas.push(batch.events[0]?.diff))
    type(",", 5, 5)
    expect(body()).toBe("hello, world")
    expect(deltas).toEqual([{ type: "text", diff: [{ retain: 5 }, { insert: "," }] }])
    expect(updates[0]).toBeLessThan(120)
  })

  test("writes a long paste in pieces, and hears of it as one", () => {
    bind("start end")
    const paste = "🐦 word ".repeat(5_000)
    type(paste, 6, 6)
    expect(body()).toBe(`start ${paste}end`)
    expect(doc.exportJsonUpdates().changes.flatMap((change) => change.ops).length).toBeGreaterThan(8)
    type("!", 6, 6)
    remote((text) => text.insert(0, "zero "))
    expect(element.value).toBe(`zero start !${paste}end`)
  })

  test("keeps caret, selection and scroll under edits of others", () => {
    bind("one two three")
    element.setSelectionRange(4, 7, "backward")
    element.scrollTop = 40
    remote((text) => text.insert(0, "zero "))
    expect(element.value).toBe("zero one two three")
    expect([element.selectionStart, element.selectionEnd, element.selectionDirection]).toEqual([
      9,
      12,
      "backward",
    ])
    expect(element.scrollTop).toBe(40)
    remote((text) => text.insert(text.length, " four"))
    expect([element.selectionStart, element.selectionEnd]).toEqual([9, 12])
    remote((text) => text.delete(5, 5))
    expect(element.value).toBe("zero wo three four")
    expect([element.selectionStart, element.selectionEnd]).toEqual([5, 7])
    remote((text) => text.insert(5, "t"))
    expect([element.selectionStart, element.selectionEnd]).toEqual([6, 8])
  })

  test("leaves a caret before what others insert at it", () => {
    bind("ab")
    element.setSelectionRange(1, 1)
    remote((text) => text.insert(1, "XYZ"))
    expect([element.selectionStart, element.selectionEnd]).toEqual([1, 1])
  })

  test("shows several edits of one import", () => {
    bind("0123456789")
    element.setSelectionRange(8, 8)
    remote((text) => {
      text.insert(9, "c")
      text.delete(2, 2)
      text.insert(0, "aa")
    })
    expect(element.value).toBe(body())
    expect(element.value.slice(element.selectionStart)).toBe("8c9")
  })

  test("does not touch the element while an input method composes", () => {
    bind("abc")
    element.setSelectionRange(3, 3)
    element.dispatchEvent(new CompositionEvent("compositionstart"))
    element.value = "abcに"
    element.setSelectionRange(4, 4)
    element.dispatchEvent(new InputEvent("input", { isComposing: true }))
    remote((text) => text.insert(0, ">> "))
    expect(element.value).toBe("abcに")
    expect(body()).toBe(">> abc")
    element.value = "abc日本"
    element.setSelectionRange(5, 5)
    element.dispatchEvent(new CompositionEvent("compositionend"))
    expect(body()).toBe(">> abc日本")
    expect(element.value).toBe(">> abc日本")
    expect(element.selectionStart).toBe(8)
  })

  test("undoes what was typed here and nothing else", () => {
    bind()
    type("mine")
    remote((text) => text.insert(0, "theirs "))
    expect(body()).toBe("theirs mine")
    element.dispatchEvent(new KeyboardEvent("keydown", { key: "z", ctrlKey: true }))
    expect(body()).toBe("theirs ")
    expect(element.value).toBe("theirs ")
    element.dispatchEvent(new KeyboardEvent("keydown", { key: "Z", ctrlKey: true, shiftKey: true }))
    expect(element.value).toBe("theirs mine")
    element.dispatchEvent(new InputEvent("beforeinput", { inputType: "historyUndo", cancelable: true }))
    expect(element.value).toBe("theirs ")
    expect(binding.undo.canRedo()).toBe(true)
  })

  test("puts the caret where something was undone", () => {
    bind("start ")
    type("abc", 6, 6)
    element.setSelectionRange(0, 0)
    binding.undo.undo()
    expect(element.selectionStart).toBe(6)
  })

  test("keeps edits of others inside of what is replaced at once", () => {
    const words = Array.from({ length: 60 }, (_, index) => `word${index}`).join(" ")
    bind(words)
    // A spelling checker changes the first and the last word in one go.
    element.value = words.replace("word0 ", "WORD0 ").replace(/word59$/, "WORD59")
    element.dispatchEvent(new InputEvent("input"))
    expect(body()).toBe(element.value)
    expect(doc.getText("body").toDelta()).toHaveLength(1)
  })

  test("takes up edits nobody committed before what is typed", () => {
    bind("abc")
    doc.getText("body").insert(0, "uncommitted ")
    type("d", 3, 3)
    expect(body()).toBe("uncommitted abcd")
    expect(element.value).toBe("uncommitted abcd")
    expect(element.selectionStart).toBe(16)
  })

  test("shows carriage returns without losing its place", () => {
    bind("a\r\nb")
    type("c", 4, 4)
    expect(body()).toBe("a\r\nbc")
  })

  test("gives back what it showed when the document is read-only", () => {
    bind("abc")
    doc.detach()
    type("d", 3, 3)
    expect(element.value).toBe("abc")
    expect(body()).toBe("abc")
  })

  test("is let go", () => {
    bind("abc")
    binding.unbind()
    remote((text) => text.insert(0, "x"))
    expect(element.value).toBe("abc")
    type("d", 3, 3)
    expect(body()).toBe("xabc")
  })

  test("an input shows line breaks as spaces and keeps them", () => {
    const input = document.createElement("input")
    document.body.append(input)
    doc.getText("body").insert(0, "a\nb")
    doc.commit()
    binding = bindTextarea(textOf(doc, "body"), input)
    expect(input.value).toBe("a b")
    input.value = "a bc"
    input.setSelectionRange(4, 4)
    input.dispatchEvent(new InputEvent("input"))
    expect(body()).toBe("a\nbc")
    input.remove()
  })
})

test("whatever is typed and received, element and text are equal", () => {
  const action = fc.record({
    kind: fc.constantFrom("type", "delete", "remote-insert", "remote-delete", "undo", "redo"),
    where: fc.nat(200),
    text: fc.string({ unit: fc.constantFrom("a", "b", "🐦", "\n", " "), minLength: 1, maxLength: 5 }),
  })
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      doc = new LoroDoc()
      element.value = ""
      bind()
      for (const { kind, where, text } of actions) {
        const at = boundary(element.value, where)
        const end = boundary(element.value, at + 3)
        if (kind === "type") type(text, at, at)
        else if (kind === "delete" && end > at) type("", at, end)
        else if (kind === "remote-insert") remote((target) => target.insert(at, text))
        else if (kind === "remote-delete" && end > at) remote((target) => target.delete(at, end - at))
        else if (kind === "undo") binding.undo.undo()
        else if (kind === "redo") binding.undo.redo()
        expect(element.value).toBe(body())
      }
      binding.unbind()
    }),
    { numRuns: 150 },
  )
})

function boundary(content: string, where: number): number {
  const at = where % (content.length + 1)
  return /[\uDC00-\uDFFF]/.test(content[at] ?? "") ? at - 1 : at
}
