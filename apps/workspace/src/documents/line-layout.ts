import type { Extension } from "@codemirror/state"
import { Decoration, EditorView, ViewPlugin } from "@codemirror/view"

/** Bullets, numbers and quotes, after spaces. */
const MARK = /^( {0,8})(?:[-*+]|(\d{1,3})[.)]|(>)) /

/**
 * Each line runs in the direction of its own text, as paragraphs of Arabic or Hebrew between others do. Lines of a list
 * that are broken go on below their text, not below the mark.
 */
export function lineLayout(): Extension {
  const lines = ViewPlugin.define(
    (view) => ({
      decorations: shownLines(view),
      update({ docChanged, viewportChanged, view: changed }) {
        if (docChanged || viewportChanged) this.decorations = shownLines(changed)
      },
    }),
    { decorations: ({ decorations }) => decorations },
  )
  return [EditorView.perLineTextDirection.of(true), lines]
}

function shownLines({ visibleRanges, state: { doc } }: EditorView) {
  const classByStart = new Map<number, string>()
  for (const { from, to } of visibleRanges) {
    for (let at = from; at <= to;) {
      const line = doc.lineAt(at)
      // A mark is at the beginning, so no more of a line is read, however long it is.
      classByStart.set(line.from, hangingClass(doc.sliceString(line.from, Math.min(line.to, line.from + 16))))
      at = line.to + 1
    }
  }
  return Decoration.set(
    [...classByStart].map(([start, name]) =>
      Decoration.line({ attributes: { dir: "auto" }, class: name }).range(start),
    ),
  )
}

/** The class that indents a line as far as its mark is wide. The page's policy allows no styles of single elements. */
export function hangingClass(start: string): string {
  const found = MARK.exec(start)
  if (found === null) return ""
  const [, spaces = "", digits, quote] = found
  const mark = quote !== undefined ? "quote" : digits === undefined ? "bullet" : `number-${digits.length}`
  return `md-hang md-hang-${mark} md-in-${Math.floor(spaces.length / 2)}`
}
