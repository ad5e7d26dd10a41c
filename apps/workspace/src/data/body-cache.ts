import { createState, type State } from "@dunlin/core"
import { smallStore } from "../device/small-store.ts"
import type { WorkspaceDatabase } from "./database.ts"

/** Texts of documents as last seen on this device. Local: rebuilt from the Loro documents, never replicated. */
export interface BodyCache {
  readonly texts: State<ReadonlyMap<string, string>>
  /** Reads what is stored. Further calls return the same promise. */
  load(): Promise<void>
  /** Announces a `put`: if the page ends before the text is stored, it leaves a mark for the next one. */
  expect(id: string): void
  put(id: string, text: string): void
  /** The text cannot be read now, so no `put` is to be expected. */
  giveUp(id: string): void
  /** The document was deleted for ever. */
  remove(id: string): Promise<void>
  /** Ids of all texts in this cache. */
  ids(): readonly string[]
  /** Includes what has just been put and is not in `texts` yet. */
  text(id: string): string | undefined
  /** Texts changed after this time may be out of date here, because the last page ended too soon. Null: none. */
  readonly staleSince: number | null
  close(): void
}

const MAX_TEXT = 400_000
const SHOW_AFTER_MS = 100
const WRITE_AFTER_MS = 1_500
/** Longest time from a document's change until this cache hears of it. */
const MARK_SLACK_MS = 1_000

export function createBodyCache(database: WorkspaceDatabase, name: string): BodyCache {
  const texts = createState<ReadonlyMap<string, string>>(new Map())
  const known = new Map<string, string>()
  const unsaved = new Map<string, string>()
  let timer: ReturnType<typeof setTimeout> | null = null
  let shown: ReturnType<typeof setTimeout> | null = null
  let loading: Promise<void> | null = null
  const expected = new Set<string>()
  const mark = `unstored-${name}`
  const markedAt = Number(smallStore.read(mark) ?? "")
  const staleSince = markedAt > 0 ? markedAt : null
  let isMarked = staleSince !== null

  function expect(id: string): void {
    expected.add(id)
    if (isMarked) return
    isMarked = true
    smallStore.write(mark, String(Date.now() - MARK_SLACK_MS))
  }

  function unmark(): void {
    if (!isMarked || expected.size > 0 || unsaved.size > 0) return
    isMarked = false
    smallStore.write(mark, "")
  }

  async function readAll(): Promise<void> {
    const rows = await database.bodies.find().exec()
    // What was put during the read is newer than what was read.
    for (const { id, text } of rows) if (!known.has(id)) known.set(id, text)
    texts.set(new Map(known))
  }

  /** Texts that arrive by the hundred are shown together, since each change of the state redraws the list. */
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
    // This is only a cache: if storage is full, the document itself reports it.
    await database.bodies.bulkUpsert(rows).then(unmark, () => undefined)
  }

  return {
    texts,
    staleSince,
    expect,
    load: () => (loading ??= readAll()),
    text: (id) => known.get(id),
    put(id, text) {
      expected.delete(id)
      const bounded = text.slice(0, MAX_TEXT)
      if (known.get(id) === bounded) return unmark()
      known.set(id, bounded)
      show()
      unsaved.set(id, bounded)
      timer ??= setTimeout(() => void save(), WRITE_AFTER_MS)
    },
    giveUp(id) {
      expected.delete(id)
      unmark()
    },
    async remove(id) {
      // What is stored must be known first, or the read would bring it back.
      await (loading ??= readAll())
      expected.delete(id)
      unsaved.delete(id)
      if (known.delete(id)) show()
      await database.bodies.bulkRemove([id])
      unmark()
    },
    ids: () => [...known.keys()],
    close() {
      if (timer !== null) clearTimeout(timer)
      if (shown !== null) clearTimeout(shown)
    },
  }
}
