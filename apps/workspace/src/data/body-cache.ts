import { createState, type State } from "@dunlin/core"
import type { WorkspaceDatabase } from "./database.ts"

/** Texts of documents as last seen on this device. Local: rebuilt from the Loro documents, never replicated. */
export interface BodyCache {
  readonly texts: State<ReadonlyMap<string, string>>
  /** Reads what is stored; later calls return the same promise. */
  load(): Promise<void>
  put(id: string, text: string): void
  /** Also what was put a moment ago and is not in `texts` yet. */
  text(id: string): string | undefined
  close(): void
}

const MAX_TEXT = 400_000
const SHOW_AFTER_MS = 100
const WRITE_AFTER_MS = 1_500

export function createBodyCache(database: WorkspaceDatabase): BodyCache {
  const texts = createState<ReadonlyMap<string, string>>(new Map())
  const known = new Map<string, string>()
  const unsaved = new Map<string, string>()
  let timer: ReturnType<typeof setTimeout> | null = null
  let shown: ReturnType<typeof setTimeout> | null = null
  let loading: Promise<void> | null = null

  async function readAll(): Promise<void> {
    const rows = await database.bodies.find().exec()
    // What was put while reading is newer than what was read.
    for (const { id, text } of rows) if (!known.has(id)) known.set(id, text)
    texts.set(new Map(known))
  }

  /** Texts that come by the hundred are shown together: each change of the state draws the list anew. */
  function show(): void {
    shown ??= setTimeout(() => {
      shown = null
      texts.set(new Map(known))
    }, SHOW_AFTER_MS)
  }

  async function save(): Promise<void> {
    timer = null
    const rows = [...unsaved].map(([id, text]) => ({ id, text }))
    unsaved.clear()
    // A cache: if storage is full, the document itself says so.
    await database.bodies.bulkUpsert(rows).catch(() => undefined)
  }

  return {
    texts,
    load: () => (loading ??= readAll()),
    text: (id) => known.get(id),
    put(id, text) {
      const bounded = text.slice(0, MAX_TEXT)
      if (known.get(id) === bounded) return
      known.set(id, bounded)
      show()
      unsaved.set(id, bounded)
      timer ??= setTimeout(() => void save(), WRITE_AFTER_MS)
    },
    close() {
      if (timer !== null) clearTimeout(timer)
      if (shown !== null) clearTimeout(shown)
    },
  }
}
