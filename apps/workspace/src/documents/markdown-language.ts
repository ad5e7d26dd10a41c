import {
  defineLanguageFacet,
  HighlightStyle,
  Language,
  languageDataProp,
  syntaxHighlighting,
} from "@codemirror/language"
import type { Extension } from "@codemirror/state"
import { styleTags, Tag, tags } from "@lezer/highlight"
import { GFM, parser } from "@lezer/markdown"

const facet = defineLanguageFacet({ commentTokens: { block: { open: "<!--", close: "-->" } } })

/** The columns of a table line up only in a fixed-width font. */
const table = Tag.define()
/** The marks around code, and its language's name, are set in the same font as the code. */
const fence = Tag.define()

/** Markdown only: the ready-made package brings parsers for HTML, CSS and JavaScript, four times its size. */
const language = new Language(
  facet,
  parser.configure([
    GFM,
    {
      props: [
        languageDataProp.add({ Document: facet }),
        styleTags({ "Table/...": table, "CodeMark CodeInfo": fence }),
      ],
    },
  ]),
  [],
  "markdown",
)

const style = HighlightStyle.define([
  { tag: tags.heading1, class: "md-h1" },
  { tag: tags.heading2, class: "md-h2" },
  { tag: [tags.heading3, tags.heading4, tags.heading5, tags.heading6], class: "md-h3" },
  { tag: tags.strong, class: "md-strong" },
  { tag: tags.emphasis, class: "md-emphasis" },
  { tag: tags.strikethrough, class: "md-strike" },
  { tag: tags.monospace, class: "md-code" },
  { tag: tags.quote, class: "md-quote" },
  { tag: fence, class: "md-code md-mark" },
  { tag: table, class: "md-table" },
  { tag: [tags.link, tags.url], class: "md-link" },
  { tag: [tags.processingInstruction, tags.labelName, tags.contentSeparator], class: "md-mark" },
])

export function markdown(): Extension {
  return [language, syntaxHighlighting(style)]
}
