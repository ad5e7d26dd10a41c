import {
  deleteIndexedDbStore,
  indexedDbStore,
  loroReplica,
  memoryStore,
  type LoroDocuments,
} from "@dunlin/loro"
import * as loro from "loro-crdt/web"
import wasmUrl from "loro-crdt/web/loro_wasm_bg.wasm?url"
import { noRoom } from "./no-room.ts"
import type { RoomPhase } from "./session.ts"

export interface OpenNotes {
  readonly documents: LoroDocuments
  readBody(id: string): Promise<string>
  close(): Promise<void>
}

export interface OpenNotesOptions {
  readonly room: Exclude<RoomPhase, { type: "opening" }>
  readonly storeName: string
  readonly durable: boolean
}

/** The entry's default export, which its typings leave out. */
const { default: startWasm } = loro as unknown as {
  readonly default: (from: { readonly module_or_path: string }) => Promise<unknown>
}

let started: Promise<unknown> | null = null

/** Compiles Loro's WASM; a failure can be tried again. */
export async function startLoro(): Promise<void> {
  started ??= startWasm({ module_or_path: wasmUrl })
  try {
    await started
  } catch (error) {
    started = null
    throw error
  }
}

export async function openNotes({ room, storeName, durable }: OpenNotesOptions): Promise<OpenNotes> {
  const store = durable ? indexedDbStore(storeName) : memoryStore()
  const replica = loroReplica({ name: "notes", store })
  const readBody = async (documents: LoroDocuments, id: string): Promise<string> => {
    await using document = await documents.open(id)
    return document.doc.getText("body").toString()
  }
  if (room.type === "open") {
    const documents = await room.room.replicate(replica)
    // The room closes what it replicates.
    return { documents, readBody: (id) => readBody(documents, id), close: async () => undefined }
  }
  const attached = await replica.attach(noRoom())
  const documents = attached.handle
  return { documents, readBody: (id) => readBody(documents, id), close: () => attached.detach() }
}

export async function removeNotes(storeName: string): Promise<void> {
  await deleteIndexedDbStore(storeName)
}
