import "./document-page.css"
import type { LoroDocument } from "@dunlin/loro"
import { useStateValue } from "@dunlin/react"
import type { LoroDoc } from "loro-crdt"
import { useEffect, useRef, useState, type KeyboardEvent } from "react"
import { Link, useLocation } from "wouter"
import { MAX_TITLE, type DocumentEntry } from "../data/entries.ts"
import { usePeople } from "../people/use-everyone.ts"
import { attempt } from "../ui/attempt.ts"
import { Avatars } from "../ui/avatars.tsx"
import { DraftArea } from "../ui/draft-input.tsx"
import { Icon } from "../ui/icon.tsx"
import { Menu, type MenuItem } from "../ui/menu.tsx"
import { dropToasts, toast } from "../ui/toasts.tsx"
import { useScreenMenu } from "../shell/screen-menu.ts"
import { useDocuments, useWorkspace } from "../workspace/workspace-context.ts"
import { DeleteDialog } from "./delete-dialog.tsx"
import { deleteDocument } from "./delete-document.ts"
import { DeletedDocument } from "./deleted-document.tsx"
import { contentOf, readContent, type DocumentContent } from "./document-content.ts"
import { useLostDocument } from "./lost-documents.tsx"
import { DocumentAbout } from "./document-about.tsx"
import { readMeta, type DocumentMeta } from "./document-meta.ts"
import { DocumentHistory } from "./document-history.tsx"
import { EngineFailed } from "./engine-failed.tsx"
import { MarkdownEditor } from "./markdown-editor.tsx"
import { quotedTitle } from "./quoted-title.ts"
import { TagEditor } from "./tag-editor.tsx"
import { useIsShown } from "../ui/use-is-shown.ts"
import { type OpenNote, useNote } from "./use-note.ts"

export function DocumentPage({ id }: { readonly id: string }) {
  const documents = useDocuments()
  const note = useNote(id)
  const entry = documents?.find((document) => document.id === id)
  /** What the list last said of it, for when it is deleted. */
  const seen = useRef<DocumentEntry | null>(null)
  seen.current = entry ?? seen.current
  const lost = useLostDocument(id)
  useRemovedLeftOver(id, note.type === "deleted" && entry !== undefined)
  if (documents === null) return null
  if (note.type === "deleted" || (entry === undefined && seen.current !== null))
    return <DeletedDocument id={id} seen={seen.current ?? lost} content={contentIn(note, lost)} />
  if (entry === undefined) return <Missing />
  return <OpenDocument entry={entry} note={note} />
}

/** The row follows its deleted text in a moment, unless whoever deleted the text had to stop in between. */
const LEFT_OVER_AFTER_MS = 5_000

/** Removes the row of a document whose text was deleted, if it is still there after a while. */
function useRemovedLeftOver(id: string, isLeftOver: boolean): void {
  const { documents } = useWorkspace()
  useEffect(() => {
    if (!isLeftOver) return
    const timer = setTimeout(() => void documents.remove(id).catch(() => undefined), LEFT_OVER_AFTER_MS)
    return () => clearTimeout(timer)
  }, [documents, id, isLeftOver])
}

/** As it was on this page, or otherwise as its author left it when it was closed. */
function contentIn(note: OpenNote, lost: DocumentContent | null): DocumentContent {
  if (note.type === "ready") return readContent(note.doc)
  const open = note.type === "deleted" ? note.content : contentOf("")
  return open.text === "" && lost !== null ? lost : open
}

type LiveNote = Exclude<OpenNote, { type: "deleted" }>

/** Whoever has just made a document names it first. */
const NEW_FOR_MS = 3_000

function OpenDocument({ entry, note }: { readonly entry: DocumentEntry; readonly note: LiveNote }) {
  const workspace = useWorkspace()
  const { documents } = workspace
  const [, navigate] = useLocation()
  const isShown = useIsShown()
  const [history, setHistory] = useState(false)
  const [deleting, setDeleting] = useState(false)
  const [isNew] = useState(() => entry.title === "" && Date.now() - entry.created < NEW_FOR_MS)
  const tools = useRef<HTMLDivElement>(null)
  const isReady = note.type === "ready"
  useEffect(() => {
    if (isNew) tools.current?.parentElement?.querySelector<HTMLElement>(".title-input")?.focus()
  }, [isNew])

  function closeHistory(): void {
    setHistory(false)
    returnFocus(tools.current)
  }

  async function setArchived(archived: boolean): Promise<void> {
    if (!(await attempt(documents.setArchived(entry.id, archived))) || !archived) return
    const undo = { label: "Undo", run: () => void attempt(documents.setArchived(entry.id, false)) }
    toast(`Archived ${quotedTitle(entry.title)}.`, undo, entry.id)
    if (isShown()) navigate("/documents")
  }

  async function remove(): Promise<void> {
    navigate("/documents")
    const isDeleted = await attempt(deleteDocument(workspace, entry.id), (reason) =>
      toast(`The document could not be deleted: ${reason}`),
    )
    if (!isDeleted) return
    dropToasts(entry.id)
    toast(`Deleted ${quotedTitle(entry.title)} forever.`)
  }

  const archive: MenuItem = {
    label: entry.archived ? "Bring back from archive" : "Archive",
    icon: <Icon name="archive" />,
    run: () => void setArchived(!entry.archived),
  }
  const deletion: readonly MenuItem[] = entry.archived
    ? [{ label: "Delete forever…", icon: <Icon name="trash" />, danger: true, run: () => setDeleting(true) }]
    : []
  useScreenMenu([
    {
      label: history ? "Back to the text" : "History",
      icon: <Icon name="history" />,
      disabled: !isReady,
      run: () => setHistory(!history),
    },
    archive,
    ...deletion,
  ])

  return (
    <article className="document">
      <header className="document-head measure">
        <h2 className="visually-hidden">{entry.title || "Untitled"}</h2>
        <div ref={tools} className="document-tools">
          <Readers id={entry.id} />
          <button type="button" className="icon-button" aria-label="History" aria-pressed={history} disabled={!isReady} onClick={() => setHistory(!history)}>
            <Icon name="history" />
          </button>
          <Menu label="Document" button={<Icon name="more" />} items={[archive, ...deletion]} />
        </div>
        <DraftArea className="title-input" aria-label="Title" placeholder="Untitled" rows={1} maxLength={MAX_TITLE} value={entry.title} keepAs={`title of ${entry.id}`} save={(title, seen) => attempt(documents.rename(entry.id, title.replaceAll(/\s*\n\s*/g, " "), seen))} onKeyDown={enterText} />
        <TagEditor tags={entry.tags} add={(tag) => attempt(documents.addTag(entry.id, tag))} remove={(tag) => attempt(documents.removeTag(entry.id, tag))} />
      </header>
      {note.type === "failed" && <Failed id={entry.id} reason={note.reason} retry={note.retry} />}
      {note.type === "loading" && <Waiting id={entry.id} />}
      {note.type === "ready" && (
        <OpenText id={entry.id} {...note} history={history} closeHistory={closeHistory} />
      )}
      {deleting && <DeleteDialog title={entry.title} onDelete={() => void remove()} onClose={() => setDeleting(false)} />}
    </article>
  ) // prettier-ignore
}

/** A title has one line, however long: Enter goes on to the text. */
function enterText(event: KeyboardEvent<HTMLElement>): void {
  if (event.key !== "Enter" || event.nativeEvent.isComposing) return
  event.preventDefault()
  event.currentTarget.closest(".document")?.querySelector<HTMLElement>(".cm-content")?.focus()
}

/** In a narrow window, the history is opened from the menu of the top bar. */
function returnFocus(tools: HTMLElement | null): void {
  const buttons = [
    tools?.querySelector<HTMLElement>("[aria-pressed]"),
    document.querySelector<HTMLElement>(".top-menu"),
  ]
  buttons.find((button) => button?.checkVisibility())?.focus()
}

interface OpenTextProps {
  readonly id: string
  readonly doc: LoroDoc
  readonly note: LoroDocument
  readonly history: boolean
  readonly closeHistory: () => void
}

function OpenText({ id, doc, note, history, closeHistory }: OpenTextProps) {
  const meta = useMeta(doc)
  // Unset means unknown, not the application's language, so the browser checks spelling as it is set up.
  const language = meta.language === "" ? undefined : meta.language
  return (
    <>
      <DocumentAbout id={id} doc={doc} meta={meta} />
      <div className="document-text" lang={language}>
        {history ? (
          <DocumentHistory doc={doc} note={note} onClose={closeHistory} />
        ) : (
          <MarkdownEditor key={id} note={note} />
        )}
      </div>
    </>
  )
}

function useMeta(doc: LoroDoc): DocumentMeta {
  const [meta, setMeta] = useState(() => readMeta(doc))
  useEffect(() => {
    setMeta(readMeta(doc))
    return doc.getMap("meta").subscribe(() => setMeta(readMeta(doc)))
  }, [doc])
  return meta
}

/** Presence changes with every caret, so what it redraws is kept small. */
function Readers({ id }: { readonly id: string }) {
  const readers = [...usePeople().values()].filter((person) => person.document === id)
  if (readers.length === 0) return <span className="avatars" />
  return (
    <span
      className="avatars"
      role="img"
      aria-label={`Also here: ${readers.map(({ name }) => name).join(", ")}`}
    >
      <Avatars people={readers} most={6} />
    </span>
  )
}

/** The text as last seen, so that one can read before the editor has started. */
function Waiting({ id }: { readonly id: string }) {
  return (
    <div className="prose measure waiting" aria-busy="true">
      {useLastSeenText(id) ?? ""}
    </div>
  )
}

interface FailedProps {
  readonly id: string
  readonly reason: string
  readonly retry: () => void
}

function Failed({ id, reason, retry }: FailedProps) {
  return <EngineFailed reason={reason} retry={retry} text={useLastSeenText(id)} />
}

function useLastSeenText(id: string): string | undefined {
  const { bodies } = useWorkspace()
  return useStateValue(bodies.texts, bodies.texts.get()).get(id)
}

function Missing() {
  return (
    <div className="centre">
      <h2 className="serif-title">This document is not here</h2>
      <p className="soft">
        It may not have arrived from the other devices yet. It opens by itself when it does.
      </p>
      <Link href="/documents" className="button">
        All documents
      </Link>
    </div>
  )
}
