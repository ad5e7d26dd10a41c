import "./document-history.css"
import type { LoroDocument } from "@dunlin/loro"
import type { LoroDoc } from "loro-crdt"
import { useEffect, useRef, useState } from "react"
import { Icon } from "../ui/icon.tsx"
import { toast } from "../ui/toasts.tsx"
import { HistoryList } from "./history-list.tsx"
import { restoreText } from "./replace-text.ts"
import { dayWords, spanWords, writerWords } from "./step-words.ts"
import { useWriters } from "./use-writers.ts"
import { openVersions, type ListedStep, type Version, type Versions } from "./versions.ts"
import { VersionText } from "./version-text.tsx"

export interface DocumentHistoryProps {
  readonly doc: LoroDoc
  readonly note: LoroDocument
  readonly onClose: () => void
}

const PAGE = 40

interface Listed {
  readonly versions: Versions
  readonly steps: readonly ListedStep[]
  readonly hasMore: boolean
}

interface Opened {
  readonly step: ListedStep
  readonly moment: number
}

interface ReadVersion {
  readonly shown: Version | null
  readonly isRead: boolean
}

export function DocumentHistory({ doc, note, onClose }: DocumentHistoryProps) {
  const [reading, setReading] = useState(0)
  const [listed, setListed] = useState<Listed | null>(null)
  const [opened, setOpened] = useState<Opened | null>(null)
  const isBehind = useIsBehind(doc, reading)
  const writerOf = useWriters(doc)
  const page = useRef<HTMLElement>(null)
  const { shown, isRead } = useVersion(listed?.versions ?? null, opened)

  useEffect(() => {
    const versions = openVersions(doc, devicesOf(note))
    const first = versions.list(PAGE)
    setListed({ versions, ...first })
    setOpened(first.steps[0] ? { step: first.steps[0], moment: first.steps[0].moments } : null)
    return () => {
      setListed(null)
      versions.free()
    }
  }, [doc, note, reading])
  const isListed = listed !== null
  useEffect(() => {
    // Lets the arrow keys move through the history as soon as it opens.
    if (!isListed) return
    const [row, close] = ["[aria-current]", ".history-close"].map((part) =>
      page.current?.querySelector<HTMLElement>(part),
    )
    const first = row ?? close
    first?.focus()
  }, [isListed])
  if (listed === null) return null
  const { steps, hasMore } = listed

  function restore(text: string): void {
    const undo = restoreText(doc, text)
    onClose()
    toast("Restored as a new change.", { label: "Undo", run: undo })
  }

  const newest = steps[0]
  const isNow =
    opened === null || (opened.step.index === newest?.index && opened.moment === opened.step.moments)
  return (
    // Escape works wherever the focus is in here, as a shortcut for the close button.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <section ref={page} className="history measure" aria-labelledby="history-title" onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <header className="history-head">
        <h2 id="history-title">History</h2>
        {isBehind && <button type="button" className="button" onClick={() => setReading(reading + 1)}>Show newer changes</button>}
        <button type="button" className="icon-button history-close" aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      {opened === null ? (
        <p className="history-none soft">Nothing has been written here yet. What you and others write will be listed, and can be brought back.</p>
      ) : (
        <div className="history-columns">
          <div className="history-version" aria-busy={!isRead}>
            <div className="history-bar">
              <p className="numbers">
                <strong>{writerWords(opened.step.authors.map(writerOf))}</strong>
                <span className="soft">{isNow ? "Now" : `${dayWords(opened.step)}, ${spanWords(opened.step)}`}</span>
              </p>
              <button type="button" className="button primary" disabled={isNow || !isRead} onClick={() => shown && restore(shown.text)}>Restore this version</button>
              {opened.step.moments > 1 && (
                <label>
                  <span className="soft">Within this step</span>
                  <input type="range" aria-label="Moment within this step" min={0} max={opened.step.moments} value={opened.moment} onChange={(event) => setOpened({ ...opened, moment: event.target.valueAsNumber })} />
                </label>
              )}
            </div>
            {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- keyboards must be able to scroll it */}
            <div className="prose" role="region" aria-label="Text of this version" tabIndex={0} data-testid="history-text">
              {shown && <VersionText parts={shown.parts} />}
            </div>
          </div>
          <HistoryList steps={steps} openIndex={opened.step.index} writerOf={writerOf} hasMore={hasMore} open={(step) => setOpened({ step, moment: step.moments })} showMore={() => setListed({ ...listed, ...listed.versions.list(steps.length + PAGE) })} />
        </div>
      )}
    </section>
  ) // prettier-ignore
}

function devicesOf(note: LoroDocument): ReadonlyMap<string, string> {
  return new Map(note.history.list().flatMap(({ peer, device }) => (device === null ? [] : [[peer, device]])))
}

/** Going far back in a long history takes a moment: the choice shows first, and versions passed over are skipped. */
function useVersion(versions: Versions | null, opened: Opened | null): ReadVersion {
  const [read, setRead] = useState<{ readonly of: Opened; readonly version: Version } | null>(null)
  useEffect(() => {
    if (versions === null || opened === null) return
    const timer = setTimeout(() => setRead({ of: opened, version: versions.at(opened.step, opened.moment) }))
    return () => clearTimeout(timer)
  }, [versions, opened])
  // The former text stays in view until then, but must not be restored by mistake.
  return { shown: read?.version ?? null, isRead: read !== null && read.of === opened }
}

/** Whether the document has changed since its history was read. */
function useIsBehind(doc: LoroDoc, reading: number): boolean {
  const [behind, setBehind] = useState<number | null>(null)
  useEffect(() => doc.getText("body").subscribe(() => setBehind(reading)), [doc, reading])
  return behind === reading
}
