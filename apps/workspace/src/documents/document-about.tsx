import type { LoroDoc } from "loro-crdt"
import { useEffect, useState } from "react"
import { DraftInput } from "../ui/draft-input.tsx"

const LANGUAGES = [
  ["", "Not set"],
  ["en", "English"],
  ["de", "Deutsch"],
  ["es", "Español"],
  ["fr", "Français"],
  ["it", "Italiano"],
  ["nl", "Nederlands"],
  ["pt", "Português"],
  ["ja", "日本語"],
  ["zh", "中文"],
] as const

const MAX_DESCRIPTION = 300

/** Description and language live in the document's own map `meta`, beside its text. */
export function DocumentAbout({ doc }: { readonly doc: LoroDoc }) {
  const meta = useMeta(doc)
  const write = async (key: string, value: string): Promise<boolean> => {
    doc.getMap("meta").set(key, value)
    doc.commit()
    return true
  }
  return (
    <details className="about">
      <summary>{meta.description === "" ? "About this document" : meta.description}</summary>
      <div>
        <label className="labelled">
          <span>Description</span>
          <DraftInput className="field" maxLength={MAX_DESCRIPTION} value={meta.description} save={(text) => write("description", text)} />
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

interface Meta {
  readonly description: string
  readonly language: string
}

function useMeta(doc: LoroDoc): Meta {
  const [meta, setMeta] = useState(() => readMeta(doc))
  useEffect(() => {
    setMeta(readMeta(doc))
    return doc.getMap("meta").subscribe(() => setMeta(readMeta(doc)))
  }, [doc])
  return meta
}

function readMeta(doc: LoroDoc): Meta {
  const map = doc.getMap("meta")
  const [description, language] = [map.get("description"), map.get("language")]
  return {
    description: typeof description === "string" ? description.slice(0, MAX_DESCRIPTION) : "",
    language: LANGUAGES.find(([code]) => code === language)?.[0] ?? "",
  }
}
