import "./markdown-editor.css"
import { defaultKeymap, indentWithTab } from "@codemirror/commands"
import { indentUnit } from "@codemirror/language"
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search"
import { EditorState } from "@codemirror/state"
import { EditorView, keymap, placeholder } from "@codemirror/view"
import { type LoroDocument, textOf } from "@dunlin/loro"
import { loroCodeMirror } from "@dunlin/loro/codemirror"
import { useRoom, useStateValue } from "@dunlin/react"
import { useEffect, useRef, useState } from "react"
import { toast } from "../ui/toasts.tsx"
import { enteredDocument, takeEntry } from "./entered-document.ts"
import { lineLayout } from "./line-layout.ts"
import { markdown } from "./markdown-language.ts"
import { searchCount } from "./search-count.ts"
import { textLimit } from "./text-limit.ts"

/** The body of a document: its Markdown source, with the carets of the others. */
export function MarkdownEditor({ note }: { readonly note: LoroDocument }) {
  const host = useRef<HTMLDivElement>(null)
  const room = useRoom()
  const entered = useStateValue(enteredDocument, null)
  useEffect(() => {
    if (host.current === null) return
    const text = textOf(note, "body")
    const view = new EditorView({
      parent: host.current,
      doc: text.text().toString(),
      extensions: [
        loroCodeMirror(room === null ? { text } : { text, presence: room.presence }),
        textLimit(() =>
          toast(
            "That is too long: other devices would refuse this document. Put some of it into another one.",
          ),
        ),
        markdown(),
        lineLayout(),
        search({ top: true }),
        searchCount(),
        EditorState.phrases.of(SEARCH_WORDS),
        highlightSelectionMatches(),
        indentUnit.of("  "),
        keymap.of([...searchKeymap, ...defaultKeymap, ...leaveByEscape, indentWithTab]),
        EditorView.lineWrapping,
        placeholder("Write here. Markdown works."),
        EditorView.contentAttributes.of({
          "aria-label": "Text",
          autocapitalize: "sentences",
          spellcheck: "true",
          tabindex: "0",
        }),
      ],
    })
    if (text.text().length === 0 && !isTyping()) view.focus()
    return () => view.destroy()
  }, [note, room])
  useEffect(() => {
    if (takeEntry(note.id)) host.current?.querySelector<HTMLElement>(".cm-content")?.focus()
  }, [note, entered])
  return (
    <>
      <div ref={host} className="editor" />
      <WordCount note={note} />
    </>
  )
}

const SEARCH_WORDS = {
  next: "Next",
  previous: "Previous",
  all: "Select all",
  "match case": "Match case",
  regexp: "Pattern",
  "by word": "Whole words",
  replace: "Replace",
  "replace all": "Replace all",
  close: "Close",
}

/** Someone who types a title while the text is loading must not end up typing into the text. */
function isTyping(): boolean {
  const { activeElement } = document
  return activeElement instanceof HTMLInputElement || activeElement instanceof HTMLTextAreaElement
}

const COUNT_AFTER_MS = 400

function countWords(text: string): number {
  return text.match(/[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu)?.length ?? 0
}

/** Tab indents, so the keyboard needs another way out. */
const leaveByEscape = [
  {
    key: "Escape",
    run(view: EditorView): boolean {
      view.contentDOM.blur()
      view.dom.closest<HTMLElement>(".page")?.querySelector<HTMLElement>(".title-input")?.focus()
      return true
    },
  },
]

function WordCount({ note }: { readonly note: LoroDocument }) {
  const [words, setWords] = useState(0)
  useEffect(() => {
    const text = textOf(note, "body")
    let timer: ReturnType<typeof setTimeout> | null = null
    const count = (): void => {
      timer = null
      setWords(countWords(text.text().toString()))
    }
    // Counting a long text takes milliseconds, which no key press should wait for.
    const later = (): void => void (timer ??= setTimeout(count, COUNT_AFTER_MS))
    count()
    const end = text.subscribe(later)
    const endText = text.text().subscribe(later)
    return () => {
      end()
      endText()
      if (timer !== null) clearTimeout(timer)
    }
  }, [note])
  return (
    <footer className="editor-foot measure numbers">
      <span>{words === 1 ? "1 word" : `${words.toLocaleString("en")} words`}</span>
    </footer>
  )
}
