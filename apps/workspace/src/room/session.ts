import {
  browserIdentity,
  createState,
  memoryIdentity,
  openRoom,
  RoomError,
  type Room,
  type State,
  type Transport,
} from "@dunlin/core"
import { tabs } from "@dunlin/core/tabs"
import { webrtc } from "@dunlin/core/webrtc"
import { rxdbReplica } from "@dunlin/rxdb"
import type { BodyCache } from "../data/body-cache.ts"
import type { WorkspaceDatabase } from "../data/database.ts"
import { deviceName, storageName } from "../device/namespace.ts"
import { createCable, type Cable } from "./cable.ts"
import { createNotesLoader, type NotesPhase } from "./notes-loader.ts"
import { signalingUrl } from "./signaling-url.ts"

export type RoomPhase =
  | { readonly type: "opening" }
  | { readonly type: "open"; readonly room: Room }
  | { readonly type: "unavailable"; readonly reason: string }

/** What a workspace shares with other devices, and how. Everything works while there is no room. */
export interface Session {
  readonly room: State<RoomPhase>
  readonly notes: State<NotesPhase>
  readonly cable: Cable
  /** Loads Loro if it is not loaded, or failed to. */
  loadNotes(): void
  close(): Promise<void>
  /** Deletes the Loro documents of the workspace; call it when the session is closed. */
  remove(): Promise<void>
}

export interface SessionOptions {
  readonly id: string
  readonly invite: string
  readonly database: WorkspaceDatabase
  readonly bodies: BodyCache
  /** A text changed here or elsewhere. */
  readonly textChanged: (id: string, origin: "local" | "remote" | "tab") => void
}

export function openSession(options: SessionOptions): Session {
  const { id, invite, database } = options
  const room = createState<RoomPhase>({ type: "opening" })
  const cable = createCable(`cable-${id.slice(0, 16)}`)
  // Made before anything is written: from here on each write is stamped, with or without a room.
  const replicas = [rxdbReplica(database.documents), rxdbReplica(database.tasks)]
  const notes = createNotesLoader({ ...options, room, storeName: storageName(`notes-${id.slice(0, 16)}`) })

  const opening = openRoom({
    invite,
    transports: transportsThrough(cable),
    identity: database.durable ? browserIdentity(storageName("identity")) : memoryIdentity(),
  })
  const replicating = opening.then(
    async (opened) => {
      room.set({ type: "open", room: opened })
      await Promise.all(replicas.map((replica) => opened.replicate(replica)))
    },
    (error: unknown) => room.set({ type: "unavailable", reason: reasonOf(error) }),
  )
  replicating.catch((error: unknown) => room.set({ type: "unavailable", reason: reasonOf(error) }))

  return {
    room,
    notes: notes.phase,
    cable,
    loadNotes: notes.load,
    async close() {
      await notes.close()
      await opening.then((opened) => opened.close()).catch(() => undefined)
      cable.close()
    },
    remove: notes.remove,
  }
}

/** Tabs of one browser share storage and one set of connections. The demo's two devices are no tabs of each other. */
function transportsThrough(cable: Cable): readonly Transport[] {
  const network = cable.through(webrtc({ signaling: signalingUrl() }))
  return deviceName === "" ? [tabs(), network] : [network]
}

function reasonOf(error: unknown): string {
  const code = error instanceof RoomError ? error.code : null
  if (code === "insecure-context") return "This address is not secure (neither https nor localhost), so this device cannot sync."
  if (code === "missing-crypto") return "This browser lacks the cryptography that sync needs: update it, or use another one."
  if (code === "invite-too-new") return "This workspace was made by a newer version of the app: reload the page to update."
  return `Sync did not start: ${error instanceof Error ? error.message : String(error)}`
} // prettier-ignore
