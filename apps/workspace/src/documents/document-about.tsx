import type { LoroDoc } from "loro-crdt"
import { LANGUAGES, MAX_DESCRIPTION, type DocumentMeta } from "./document-meta.ts"
import { DraftInput } from "../ui/draft-input.tsx"

export interface DocumentAboutProps {
  readonly id: string
  readonly doc: LoroDoc
  readonly meta: DocumentMeta
}

/** Description and language live in the document's own map `meta`, beside its text. */
export function DocumentAbout({ id, doc, meta }: DocumentAboutProps) {
  const write = async (key: string, value: string): Promise<boolean> => {
    doc.getMap("meta").set(key, value)
    doc.commit()
    return true
  }
  return (
    <details className="about measure">
      <summary><span dir="auto">{meta.description === "" ? "About this document" : meta.description}</span></summary>
      <div>
        <label className="labelled">
          <span>Description</span>
          <DraftInput className="field" maxLength={MAX_DESCRIPTION} value={meta.description} keepAs={`description of ${id}`} save={(text) => write("description", text)} />
        </label>
        <label className="labelled">
          <span>Language</span>
          <select className="field" value={meta.language} onChange={(event) => void write("language", event.target.value)}>
            {LANGUAGES.map(([code, name]) => <option key={code} value={code}>{name}</option>)}
          </select>
        </label>
      </div>
    </details>
  ) // prettier-ignore
}
