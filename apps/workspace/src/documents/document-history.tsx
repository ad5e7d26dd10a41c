import "./document-history.css"
import type { LoroDoc } from "loro-crdt"
import { useEffect, useState } from "react"
import { toast } from "../ui/toasts.tsx"
import { replaceText } from "./replace-text.ts"
import { openVersions, type Versions } from "./versions.ts"

export interface DocumentHistoryProps {
  readonly doc: LoroDoc
  readonly onClose: () => void
}

const WHEN = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" })

export function DocumentHistory({ doc, onClose }: DocumentHistoryProps) {
  const [versions, setVersions] = useState<Versions | null>(null)
  const [index, setIndex] = useState(0)
  useEffect(() => {
    const opened = openVersions(doc)
    setVersions(opened)
    setIndex(opened.count)
    return () => {
      setVersions(null)
      opened.free()
    }
  }, [doc])
  if (versions === null) return null
  const version = versions.at(index)
  const isNow = index === versions.count

  function restore(): void {
    const before = doc.getText("body").toString()
    replaceText(doc, version.text)
    onClose()
    toast("Restored as a new change.", { label: "Undo", run: () => replaceText(doc, before) })
  }

  return (
    <div className="history">
      <div className="history-bar measure">
        <label>
          <span className="visually-hidden">Moment in the history</span>
          <input type="range" min={0} max={versions.count} value={index} aria-valuetext={isNow ? "Now" : `${index} of ${versions.count}`} onChange={(event) => setIndex(event.target.valueAsNumber)} />
        </label>
        <p className="soft numbers">{isNow ? "Now" : `Step ${index} of ${versions.count}${version.at === null ? "" : ` · ${WHEN.format(version.at)}`}`}</p>
        <div className="actions">
          <button type="button" className="button quiet" onClick={onClose}>Close</button>
          <button type="button" className="button primary" disabled={isNow} onClick={restore}>Restore this</button>
        </div>
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- keyboards must be able to scroll it */}
      <div className="prose measure" role="region" aria-label="Text at this moment" tabIndex={0} data-testid="history-text">{version.text || <span className="soft">Empty</span>}</div>
    </div>
  ) // prettier-ignore
}
