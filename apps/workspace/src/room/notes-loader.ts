import { createState, type State } from "@dunlin/core"
import type { LoroDocuments } from "@dunlin/loro"
import { awaitState } from "../data/await-state.ts"
import { errorMessage } from "../ui/error-message.ts"
import { fillBodyCache } from "./fill-body-cache.ts"
import type { RoomPhase, SessionOptions } from "./session.ts"

export type NotesPhase =
  | { readonly type: "loading" }
  | { readonly type: "ready"; readonly notes: LoroDocuments }
  | { readonly type: "failed"; readonly reason: string }

export interface NotesLoader {
  readonly phase: State<NotesPhase>
  load(): void
  close(): Promise<void>
  prepareRemoval(): Promise<() => Promise<void>>
}

export interface NotesLoaderOptions extends Pick<
  SessionOptions,
  "database" | "bodies" | "textChanged" | "textDeleted"
> {
  readonly room: State<RoomPhase>
  readonly storeName: string
}

type Engine = Awaited<ReturnType<typeof loadEngine>>
type Opened = Awaited<ReturnType<Engine["openNotes"]>>

/** Loads Loro after the first screen, because its WASM is larger than everything else together. */
export function createNotesLoader({
  room,
  storeName,
  database,
  bodies,
  textChanged,
  textDeleted,
}: NotesLoaderOptions): NotesLoader {
  const phase = createState<NotesPhase>({ type: "loading" })
  let opened: Opened | null = null
  let loading: Promise<void> | null = null
  let isClosed = false

  async function start(): Promise<void> {
    phase.set({ type: "loading" })
    try {
      const engine = await loadEngine()
      const settled = await awaitState(room, (phase) => phase.type !== "opening")
      if (isClosed) return
      opened = await engine.openNotes({ room: settled, storeName, durable: database.durable })
      const { documents } = opened
      documents.subscribe((event) => {
        if (event.type === "changed") textChanged(event.id, event.origin)
        else textDeleted(event.id, event.origin)
      })
      phase.set({ type: "ready", notes: documents })
      const isListed = async (id: string): Promise<boolean> =>
        (await database.documents.findOne(id).exec()) !== null
      void fillBodyCache({ ...opened, bodies, isListed, isClosed: () => isClosed })
    } catch (error) {
      loading = null
      phase.set({ type: "failed", reason: reasonOf(error) })
    }
  }

  const load = (): void => {
    if (!isClosed) loading ??= start()
  }
  // Documents that others change must arrive even if nobody opens one on this device.
  const idle = whenIdle(load)

  return {
    phase,
    load,
    async close() {
      isClosed = true
      idle()
      await loading
      await opened?.close()
    },
    async prepareRemoval() {
      // Deletion needs no WASM, which may be the very thing that is missing.
      const { removeNotes } = await import("./loro-engine.ts")
      return () => removeNotes(storeName)
    },
  }
}

class EngineLoadError extends Error {}

async function loadEngine() {
  try {
    const { startLoro, openNotes } = await import("./loro-engine.ts")
    await startLoro()
    return { openNotes }
  } catch (cause) {
    throw new EngineLoadError("Loro did not load", { cause })
  }
}

function whenIdle(run: () => void): () => void {
  const timer = setTimeout(run, 1_200)
  return () => clearTimeout(timer)
}

function reasonOf(error: unknown): string {
  if (error instanceof EngineLoadError) {
    return "The part of the app that holds texts did not load: without a network at the first visit, or blocked by the browser."
  }
  return `The texts of this workspace did not open: ${errorMessage(error)}.`
}
