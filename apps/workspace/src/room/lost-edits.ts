import { createState, type State } from "@dunlin/core"
import type { LoroDocuments } from "@dunlin/loro"
import type { LoroDoc } from "loro-crdt"
import type { BodyCache } from "../data/body-cache.ts"
import type { DocumentList } from "../data/document-list.ts"
import { QUICK_NOTE, type DocumentEntry } from "../data/entries.ts"
import { storageName } from "../device/namespace.ts"
import { smallStore } from "../device/small-store.ts"
import type { DeletedContent } from "../documents/delete-document.ts"
import { contentOf, readContent, type DocumentContent } from "../documents/document-content.ts"
import { codeOf } from "../documents/unreadable-text.ts"

/** A document that others deleted for ever before they had what was written in it here. */
export interface LostDocument extends DeletedContent {
  readonly id: string
}

/**
 * Knows which texts were changed here and have not reached another device since, over reloads too, so that their author
 * is told if one is deleted elsewhere. What is left of such a document is kept in the memory of the pages that are open.
 */
export interface LostEdits {
  readonly lost: State<readonly LostDocument[]>
  /** The text was changed here. */
  edited(id: string): void
  /** What the text is now. */
  read(id: string, doc: LoroDoc): void
  /** The text was deleted. Resolves when what was known of it has been read, and may be forgotten. */
  deleted(id: string, origin: "local" | "remote" | "tab"): Promise<void>
  /** Its author has seen it: it is forgotten in all tabs. */
  dismiss(id: string): void
  attach(notes: LoroDocuments): void
  close(): void
}

export interface LostEditsOptions {
  readonly name: string
  readonly documents: Pick<DocumentList, "entries">
  readonly bodies: Pick<BodyCache, "load" | "text">
  /** Between the confirmation of an edit and forgetting it: whoever confirms it may send a deletion with the next message. */
  readonly settleMs?: number
}

type Message =
  | { readonly type: "lost"; readonly document: LostDocument }
  | { readonly type: "dismissed"; readonly id: string }

const SETTLE_MS = 3_000
const MAX_MARKED = 200
const MAX_LOST = 20

export function createLostEdits({
  name,
  documents,
  bodies,
  settleMs = SETTLE_MS,
}: LostEditsOptions): LostEdits {
  const key = `unshared-${name}`
  const lost = createState<readonly LostDocument[]>([])
  /** Of the documents that are marked: their row may be gone before their text. */
  const entries = new Map<string, DocumentEntry>()
  const contents = new Map<string, DocumentContent>()
  const channel = new BroadcastChannel(storageName(`lost-${name}`))
  const ending = new AbortController()
  let notes: LoroDocuments | null = null
  let edits = 0
  let isWaiting = false

  /** Read anew each time, since all tabs write it. */
  const marked = (): readonly string[] => parseIds(smallStore.read(key))

  function mark(ids: readonly string[]): void {
    smallStore.write(key, ids.length === 0 ? "" : JSON.stringify(ids.slice(-MAX_MARKED)))
    for (const id of [...entries.keys(), ...contents.keys()])
      if (!ids.includes(id)) {
        entries.delete(id)
        contents.delete(id)
      }
  }

  function noteEntries(): void {
    const ids = new Set(marked())
    if (ids.size === 0) return
    for (const entry of documents.entries.get() ?? []) if (ids.has(entry.id)) entries.set(entry.id, entry)
  }

  /** Takes the marks off once another device has everything. */
  async function waitForOthers(): Promise<void> {
    if (isWaiting || notes === null || marked().length === 0) return
    isWaiting = true
    const { signal } = ending
    try {
      for (let before = -1; before !== edits && marked().length > 0;) {
        before = edits
        const ids = marked()
        await notes.synced({ signal })
        await pause(settleMs, signal)
        if (before === edits) mark(marked().filter((id) => !ids.includes(id)))
      }
    } catch {
      // Closed, in no room, or others refuse something. The next edit, or the next page, waits again.
    }
    isWaiting = false
  }

  function add(document: LostDocument): void {
    lost.set([...lost.get().filter(({ id }) => id !== document.id), document].slice(-MAX_LOST))
  }

  const drop = (id: string): void => lost.set(lost.get().filter((document) => document.id !== id))

  const post = (message: Message): void => channel.postMessage(message)
  channel.addEventListener("message", ({ data }: MessageEvent<Message>) =>
    data.type === "lost" ? add(data.document) : drop(data.id),
  )
  const endEntries = documents.entries.subscribe(noteEntries)
  noteEntries()

  async function deleted(id: string, origin: "local" | "remote" | "tab"): Promise<void> {
    const ids = marked()
    if (!ids.includes(id)) return
    const entry = entries.get(id) ?? documents.entries.get()?.find((one) => one.id === id)
    const content = contents.get(id)
    mark(ids.filter((one) => one !== id))
    if (origin === "local") return
    // A text that was not read here since it changed is in the cache, perhaps without the last words.
    if (content === undefined) await bodies.load()
    const { text, ...meta } = content ?? contentOf(bodies.text(id) ?? "")
    if (text === "" || ending.signal.aborted) return
    const document = { id, title: entry?.title ?? "", tags: entry?.tags ?? [], text, ...meta }
    add(document)
    post({ type: "lost", document })
  }

  async function readMarked(opened: LoroDocuments): Promise<void> {
    for (const id of marked()) {
      try {
        await using document = await opened.open(id)
        contents.set(id, readContent(document.doc))
      } catch (error) {
        // The last page ended before it could say so.
        if (codeOf(error) === "document-deleted") await deleted(id, "tab")
      }
      if (ending.signal.aborted) return
    }
  }

  return {
    lost,
    edited(id) {
      if (id === QUICK_NOTE) return
      edits++
      const ids = marked()
      if (!ids.includes(id)) mark([...ids, id])
      noteEntries()
      void waitForOthers()
    },
    read(id, doc) {
      if (marked().includes(id)) contents.set(id, readContent(doc))
    },
    deleted,
    dismiss(id) {
      drop(id)
      post({ type: "dismissed", id })
    },
    attach(opened) {
      notes = opened
      void readMarked(opened).catch(() => undefined)
      void waitForOthers()
    },
    close() {
      ending.abort()
      endEntries()
      channel.close()
    },
  }
}

function parseIds(text: string | null): readonly string[] {
  try {
    const ids = JSON.parse(text || "[]") as unknown
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : []
  } catch {
    return []
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", abort)
      resolve()
    }, ms)
    signal.addEventListener("abort", abort, { once: true })
  })
}
