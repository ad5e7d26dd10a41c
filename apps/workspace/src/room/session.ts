import { createState, type Room, type State } from "@dunlin/core"
import { rxdbReplica, type RxdbHandle } from "@dunlin/rxdb"
import type { BodyCache } from "../data/body-cache.ts"
import type { WorkspaceDatabase } from "../data/database.ts"
import type { MergeKind, MergeLog } from "../data/merge-log.ts"
import { storageName } from "../device/namespace.ts"
import { createCable, type Cable } from "./cable.ts"
import { createOtherTabs, type OtherTabs } from "./other-tabs.ts"
import { createNotesLoader, type NotesPhase } from "./notes-loader.ts"

export type RoomPhase =
  | { readonly type: "opening" }
  | { readonly type: "open"; readonly room: Room }
  | { readonly type: "unavailable"; readonly reason: string }

/** What a workspace shares with other devices, and how. Everything works without a room as well. */
export interface Session {
  readonly room: State<RoomPhase>
  readonly notes: State<NotesPhase>
  readonly cable: Cable
  readonly otherTabs: OtherTabs
  /** Loads Loro if it is not loaded, or if loading failed. */
  loadNotes(): void
  close(): Promise<void>
  /** Returns a function that deletes the workspace's Loro documents; call that once the session is closed. */
  prepareRemoval(): Promise<() => Promise<void>>
}

export interface SessionOptions {
  readonly id: string
  readonly invite: string
  readonly database: WorkspaceDatabase
  readonly bodies: BodyCache
  readonly merges: Pick<MergeLog, "resolved">
  /** A text has changed, here or elsewhere. */
  readonly textChanged: (id: string, origin: "local" | "remote" | "tab") => void
  /** A text was deleted for ever, here or elsewhere. */
  readonly textDeleted: (id: string, origin: "local" | "remote" | "tab") => void
}

export function openSession(options: SessionOptions): Session {
  const { id, invite, database, merges } = options
  const room = createState<RoomPhase>({ type: "opening" })
  const cable = createCable(`cable-${id.slice(0, 16)}`)
  const otherTabs = createOtherTabs(storageName(`people-${id.slice(0, 16)}`))
  // Created before anything is written: from here on each write is stamped, with or without a room.
  const replicas = { document: rxdbReplica(database.documents), task: rxdbReplica(database.tasks) }
  const notes = createNotesLoader({ ...options, room, storeName: storageName(`notes-${id.slice(0, 16)}`) })

  const opening = open()
  async function open(): Promise<Room | null> {
    try {
      // Kept out of the first screen: lists and the board show before the network code has arrived.
      const { connect, reasonForNoRoom } = await import("./connect.ts")
      try {
        const opened = await connect({ invite, cable, durable: database.durable })
        otherTabs.follow(opened)
        room.set({ type: "open", room: opened })
        // A collection that cannot be shared reports that in the room's events; the others are still shared.
        await Promise.allSettled([
          opened.replicate(replicas.document).then((handle) => followConflicts("document", handle)),
          opened.replicate(replicas.task).then((handle) => followConflicts("task", handle)),
        ])
        return opened
      } catch (error) {
        room.set({ type: "unavailable", reason: reasonForNoRoom(error) })
      }
    } catch {
      room.set({ type: "unavailable", reason: "The part of the app that syncs did not load. Reload the page when the network is back." })
    }
    return null
  } // prettier-ignore

  function followConflicts<Row extends object>(
    kind: MergeKind,
    { conflicts$, recentConflicts }: RxdbHandle<Row>,
  ): void {
    conflicts$.subscribe((conflict) => merges.resolved(kind, conflict))
    // Conflicts with peers that were met before the handle was available.
    for (const conflict of recentConflicts()) merges.resolved(kind, conflict)
  }

  const ending = new AbortController()
  // The others see at once that a closed page is gone, instead of waiting out its silence.
  addEventListener("pagehide", () => void leave(room.get()), { signal: ending.signal })
  // A page restored from the back/forward cache has left its room.
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload(), { signal: ending.signal })

  return {
    room,
    notes: notes.phase,
    cable,
    otherTabs,
    loadNotes: notes.load,
    async close() {
      ending.abort()
      await notes.close()
      await (await opening)?.close()
      cable.close()
      otherTabs.close()
    },
    prepareRemoval: notes.prepareRemoval,
  }
}

async function leave(phase: RoomPhase): Promise<void> {
  if (phase.type === "open") await phase.room.close()
}
