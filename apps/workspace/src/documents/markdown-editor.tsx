import type { LoroDoc } from "loro-crdt"
import "../styles/editor.css"
import { defaultKeymap } from "@codemirror/commands"
import { EditorView, keymap, placeholder } from "@codemirror/view"
import { useEffect, useRef, useState } from "react"
import { markdown } from "./markdown-language.ts"

export interface MarkdownEditorProps {
  readonly documentId: string
  readonly doc: LoroDoc
}

export function MarkdownEditor({ doc }: MarkdownEditorProps) {
  const host = useRef<HTMLDivElement>(null)
  const [words, setWords] = useState(0)
  useEffect(() => {
    if (host.current === null) return
    const view = new EditorView({
      parent: host.current,
      doc: doc.getText("body").toString(),
      extensions: [
        markdown(),
        keymap.of(defaultKeymap),
        EditorView.lineWrapping,
        placeholder("Write here. Markdown works."),
        EditorView.contentAttributes.of({ "aria-label": "Text", spellcheck: "true" }),
        EditorView.updateListener.of((update) => update.docChanged && setWords(update.state.doc.length)),
      ],
    })
    return () => view.destroy()
  }, [doc])
  return (
    <>
      <div ref={host} className="editor" />
      <footer className="editor-foot numbers">
        <span>{words} characters</span>
      </footer>
    </>
  )
}
