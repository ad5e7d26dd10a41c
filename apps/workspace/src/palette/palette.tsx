import "./palette.css"
import { useStateValue } from "@dunlin/react"
import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from "react"
import { searchWorkspace, type Excerpt } from "../data/search.ts"
import { documentPath, taskPath } from "../shell/paths.ts"
import { Icon, type IconName } from "../ui/icon.tsx"
import { useDocuments, useTasks, useWorkspace } from "../workspace/workspace-context.ts"
import { useCommands } from "./use-commands.ts"
import { useLocation } from "wouter"

interface Entry {
  readonly key: string
  readonly icon: IconName
  readonly title: string
  readonly excerpt: Excerpt | null
  readonly hint: string
  readonly run: () => void
}

/** Search and commands in one field. */
export function Palette({ onClose }: { readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const list = useId()
  const [query, setQuery] = useState("")
  const [chosen, setChosen] = useState(0)
  const entries = useEntries(query)
  const active = Math.min(chosen, Math.max(entries.length - 1, 0))

  useEffect(() => {
    const element = dialog.current
    if (element && !element.open) element.showModal()
    return () => element?.close()
  }, [])

  function run(entry: Entry | undefined): void {
    if (entry === undefined) return
    onClose()
    entry.run()
  }

  function pressed(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step !== undefined && entries.length > 0) {
      event.preventDefault()
      setChosen((active + step + entries.length) % entries.length)
    }
    if (event.key === "Enter") run(entries[active])
  }

  return (
    <dialog ref={dialog} className="dialog palette" aria-label="Search and commands" onCancel={(event) => { event.preventDefault(); onClose() }} onClose={() => dialog.current?.open === false && onClose()} onPointerDown={(event) => event.target === event.currentTarget && onClose()}>
      <div className="palette-box">
        <div className="palette-field">
          <Icon name="search" />
          <input autoFocus role="combobox" aria-expanded="true" aria-controls={list} aria-activedescendant={entries[active] ? `${list}-${active}` : undefined} aria-label="Search documents, tasks and commands" placeholder="Search or run a command" value={query} onChange={(event) => { setQuery(event.target.value); setChosen(0) }} onKeyDown={pressed} />
          <button type="button" className="icon-button" aria-label="Close" onClick={onClose}><Icon name="close" /></button>
        </div>
        <ul id={list} role="listbox" aria-label="Results">
          {entries.map((entry, index) => (
            <Result key={entry.key} id={`${list}-${index}`} entry={entry} active={index === active} run={() => run(entry)} hover={() => setChosen(index)} />
          ))}
        </ul>
        {entries.length === 0 && <p className="soft palette-none" role="status">Nothing found.</p>}
      </div>
    </dialog>
  ) // prettier-ignore
}

interface ResultProps {
  readonly id: string
  readonly entry: Entry
  readonly active: boolean
  readonly run: () => void
  readonly hover: () => void
}

function Result({ id, entry, active, run, hover }: ResultProps) {
  const element = useRef<HTMLLIElement>(null)
  useEffect(() => {
    if (active) element.current?.scrollIntoView({ block: "nearest" })
  }, [active])
  return (
    <li ref={element} id={id} role="option" aria-selected={active} onClick={run} onPointerMove={hover}>
      <Icon name={entry.icon} />
      <span className="result-text">
        <span>{entry.title}</span>
        {entry.excerpt && (
          <span className="soft">
            {entry.excerpt.before}
            <mark>{entry.excerpt.match}</mark>
            {entry.excerpt.after}
          </span>
        )}
      </span>
      <span className="soft result-hint">{entry.hint}</span>
    </li>
  )
}

function useEntries(query: string): readonly Entry[] {
  const { bodies } = useWorkspace()
  const documents = useDocuments()
  const tasks = useTasks()
  const texts = useStateValue(bodies.texts, bodies.texts.get())
  const commands = useCommands()
  const [, navigate] = useLocation()
  useEffect(() => void bodies.load(), [bodies])

  return useMemo(() => {
    const wanted = query.trim().toLowerCase()
    const actions = commands
      .filter((command) => wanted === "" || command.name.toLowerCase().includes(wanted))
      .map((command): Entry => ({ key: `run ${command.name}`, icon: command.icon, title: command.name, excerpt: null, hint: "Command", run: command.run }))
    const hits = searchWorkspace({ documents: documents ?? [], tasks: tasks ?? [], bodies: texts }, query).map((hit): Entry =>
      hit.type === "document"
        ? { key: hit.document.id, icon: hit.document.archived ? "archive" : "document", title: hit.document.title || "Untitled", excerpt: hit.excerpt, hint: "Document", run: () => navigate(documentPath(hit.document.id)) }
        : { key: hit.task.id, icon: "board", title: hit.task.title || "Untitled", excerpt: hit.excerpt, hint: "Task", run: () => navigate(taskPath(hit.task.id)) },
    )
    return wanted === "" ? [...actions, ...recent(documents ?? [], navigate)] : [...hits, ...actions]
  }, [query, documents, tasks, texts, commands, navigate])
} // prettier-ignore

const RECENT = 6

function recent(
  documents: NonNullable<ReturnType<typeof useDocuments>>,
  navigate: (to: string) => void,
): readonly Entry[] {
  return documents
    .filter((document) => !document.archived)
    .slice(0, RECENT)
    .map((document) => ({
      key: document.id,
      icon: "document",
      title: document.title || "Untitled",
      excerpt: null,
      hint: "Recent",
      run: () => navigate(documentPath(document.id)),
    }))
}
