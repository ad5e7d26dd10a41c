import "./document-history.css"
import type { LoroDoc } from "loro-crdt"
import { useEffect, useMemo, useState } from "react"
import { Icon } from "../ui/icon.tsx"
import { toast } from "../ui/toasts.tsx"
import { replaceText } from "./replace-text.ts"
import { openVersions, type Versions } from "./versions.ts"
import { VersionText } from "./version-text.tsx"

export interface DocumentHistoryProps {
  readonly doc: LoroDoc
  readonly onClose: () => void
}

const WHEN = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" })

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
  const shown = useMemo(
    () => versions && { version: versions.at(index), before: versions.at(Math.max(index - 1, 0)).text },
    [versions, index],
  )
  if (versions === null || shown === null) return null
  const { version, before } = shown
  const isNow = index === versions.count

  function restore(): void {
    const replaced = doc.getText("body").toString()
    replaceText(doc, version.text)
    onClose()
    toast("Restored as a new change.", { label: "Undo", run: () => replaceText(doc, replaced) })
  }

  const step = `${index} of ${versions.count}`
  const when = isNow ? "Now" : version.at === null ? "Time not known" : WHEN.format(version.at)

  return (
    // Escape, wherever the focus is in here, is a shortcut beside the close button.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <section className="history" aria-labelledby="history-title" onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <div className="history-bar measure">
        <header>
          <h2 id="history-title">History</h2>
          <button type="button" className="icon-button" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        <input ref={takeFocus} type="range" aria-label="Version" min={0} max={versions.count} value={index} aria-valuetext={isNow ? "Now" : `${when}, ${step}`} onChange={(event) => setIndex(event.target.valueAsNumber)} />
        <p className="history-moment soft numbers">
          <strong>{when}</strong>
          {!isNow && <span>Version {step}</span>}
        </p>
        <button type="button" className="button primary" disabled={isNow} onClick={restore}>Restore this version</button>
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- keyboards must be able to scroll it */}
      <div className="prose measure" role="region" aria-label="Text of this version" tabIndex={0} data-testid="history-text"><VersionText text={version.text} before={before} /></div>
    </section>
  ) // prettier-ignore
}

/** Whoever opens the history goes through it with the arrow keys at once. */
function takeFocus(element: HTMLElement | null): void {
  element?.focus()
}
