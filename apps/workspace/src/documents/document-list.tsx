import "./document-list.css"
import { useStateValue } from "@dunlin/react"
import { memo, useDeferredValue, useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react"
import { Link } from "wouter"
import type { DocumentEntry } from "../data/entries.ts"
import type { Person } from "../people/person.ts"
import { usePeople } from "../people/use-everyone.ts"
import { documentPath } from "../shell/paths.ts"
import { Ago } from "../ui/ago.tsx"
import { Avatars } from "../ui/avatars.tsx"
import { Icon } from "../ui/icon.tsx"
import { VirtualRows } from "../ui/virtual-rows.tsx"
import { useDocuments, useWorkspace } from "../workspace/workspace-context.ts"
import { excerptOf } from "./excerpt.ts"
import { TagFilter } from "./tag-filter.tsx"
import { useIsAwaited } from "./use-is-awaited.ts"
import { useRowKeys } from "./use-row-keys.ts"
import { useNewDocument } from "./use-new-document.ts"

const ROW_REM = 4.75

type Shown = "active" | "archived"

export function DocumentList({ openId }: { readonly openId: string | null }) {
  const { bodies } = useWorkspace()
  const documents = useDocuments()
  const texts = useDeferredValue(useStateValue(bodies.texts, bodies.texts.get()))
  const [shown, setShown] = useState<Shown>("active")
  const [tag, setTag] = useState<string | null>(null)
  const create = useNewDocument()
  useEffect(() => void bodies.load(), [bodies])
  const inState = useMemo(
    () => documents?.filter((entry) => entry.archived === (shown === "archived")) ?? [],
    [documents, shown],
  )
  const entries = useMemo(
    () => (tag === null ? inState : inState.filter((entry) => entry.tags.includes(tag))),
    [inState, tag],
  )
  return (
    <section className="list" aria-labelledby="documents-title">
      <header>
        <h1 id="documents-title" className="serif-title">
          Documents
        </h1>
        <button type="button" className="button primary" onClick={() => void create()}>
          <Icon name="plus" size={16} />
          New
        </button>
      </header>
      <div className="list-filters">
        <div className="segments" role="group" aria-label="Which documents">
          <button type="button" aria-pressed={shown === "active"} onClick={() => setShown("active")}>
            Active
          </button>
          <button type="button" aria-pressed={shown === "archived"} onClick={() => setShown("archived")}>
            Archived
          </button>
        </div>
        <TagFilter entries={inState} tag={tag} choose={setTag} />
      </div>
      {documents !== null && entries.length === 0 ? (
        <p className="list-empty soft">
          {shown === "archived" ? (
            "Nothing is archived. A document that you archive leaves the list, and is kept here."
          ) : tag === null ? (
            <NoDocuments />
          ) : (
            "Nothing has this tag."
          )}
        </p>
      ) : (
        <Rows entries={entries} openId={openId} texts={texts} />
      )}
    </section>
  )
}

function NoDocuments() {
  const archived = useDocuments()?.length ?? 0
  const isAwaited = useIsAwaited()
  if (archived > 0)
    return archived === 1 ? "The only document is archived." : `All ${archived} documents are archived.`
  return isAwaited
    ? "Nothing has arrived from the others yet."
    : "There are no documents. Begin one with “New”."
}

interface RowsProps {
  readonly entries: readonly DocumentEntry[]
  readonly openId: string | null
  readonly texts: ReadonlyMap<string, string>
}

const Rows = memo(function Rows({ entries, openId, texts }: RowsProps) {
  const readers = useReaders()
  const scroller = useRef<HTMLDivElement>(null)
  const { stop, focused, pressed } = useRowKeys(entries, openId, scroller)
  return (
    <VirtualRows
      items={entries}
      rowHeight={ROW_REM}
      keyOf={(entry) => entry.id}
      keep={[stop]}
      label="Documents"
      className="rows"
      scroller={scroller}
      render={(entry) => (
        <Row
          entry={entry}
          open={entry.id === openId}
          text={texts.get(entry.id)}
          readers={readers.get(entry.id) ?? NOBODY}
          isStop={entry.id === stop}
          focused={focused}
          pressed={pressed}
        />
      )}
    />
  )
})

const NOBODY: readonly Person[] = []

/**
 * Who has which document open. A document's array of readers keeps its identity while they stay the same: carets and
 * counters change many times a second, and must not redraw a row.
 */
function useReaders(): ReadonlyMap<string, readonly Person[]> {
  const people = usePeople()
  const previous = useRef<ReadonlyMap<string, readonly Person[]>>(new Map())
  return useMemo(() => {
    const readers = new Map<string, readonly Person[]>()
    for (const person of people.values())
      if (person.document !== null)
        readers.set(person.document, [...(readers.get(person.document) ?? []), person])
    for (const [id, now] of readers) {
      const before = previous.current.get(id)
      if (before !== undefined && sameReaders(before, now)) readers.set(id, before)
    }
    previous.current = readers
    return readers
  }, [people])
}

function sameReaders(a: readonly Person[], b: readonly Person[]): boolean {
  return (
    a.length === b.length &&
    a.every(
      ({ session, name, hue }, at) => session === b[at]?.session && name === b[at].name && hue === b[at].hue,
    )
  )
}

interface RowProps {
  readonly entry: DocumentEntry
  readonly open: boolean
  readonly text: string | undefined
  readonly readers: readonly Person[]
  readonly isStop: boolean
  readonly focused: (id: string) => void
  readonly pressed: (event: KeyboardEvent) => void
}

const Row = memo(function Row({ entry, open, text, readers, isStop, focused, pressed }: RowProps) {
  // A text that has not been read yet may be long; only one that has been read is known to be empty.
  const excerpt = text === undefined ? "\u00a0" : excerptOf(text, entry.title) || "No text yet"
  return (
    <Link
      href={documentPath(entry.id)}
      className="row"
      aria-current={open ? "true" : undefined}
      data-row={entry.id}
      tabIndex={isStop ? 0 : -1}
      onFocus={() => focused(entry.id)}
      onKeyDown={pressed}
    >
      <span className="row-title">
        <span dir="auto">{entry.title || "Untitled"}</span>
        {readers.length > 0 && (
          <span className="avatars">
            <Avatars people={readers} most={3} />
          </span>
        )}
      </span>
      <span className="row-excerpt soft" dir="auto">
        {excerpt}
      </span>
      <span className="row-meta soft numbers">
        <Ago at={entry.updated} />
        {entry.tags.slice(0, 3).map((tag) => (
          <span key={tag} className="tag">
            {tag}
          </span>
        ))}
      </span>
    </Link>
  )
})
