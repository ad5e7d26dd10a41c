import {
  createState,
  type AttachedReplica,
  openRoom,
  type ReplicaReport,
  type Room,
  memoryIdentity,
} from "@dunlin/core"
import { tabs } from "@dunlin/core/tabs"
import { webrtc } from "@dunlin/core/webrtc"
import {
  bindTextarea,
  browserStoreKey,
  encryptedStore,
  indexedDbStore,
  type LoroDocument,
  type LoroDocuments,
  loroReplica,
  presenceCursor,
  textOf,
} from "@dunlin/loro"
import { loroCodeMirror } from "@dunlin/loro/codemirror"
import { EditorView } from "@codemirror/view"
import { openWitness, type Witness, type WitnessedWrite } from "../crash-witness.ts"

export interface StartOptions {
  readonly store: string
  readonly encrypted?: "profile-key" | "other-key"
  /** Default: attached to no room, like tabs of one profile without a network. */
  readonly room?: {
    readonly invite: string
    readonly signaling: string
    readonly tabs?: boolean
    readonly name?: string
  }
}

let attached: AttachedReplica<LoroDocuments> | null = null
let room: Room | null = null
let docs: LoroDocuments | null = null
const documents = new Map<string, LoroDocument>()
const reports: ReplicaReport[] = []
const acknowledged: string[] = []
let witness: Witness | null = null
let witnessed: WitnessedWrite | null = null

export async function start({ store: name, encrypted, room: joined }: StartOptions): Promise<void> {
  const plain = indexedDbStore(name)
  const store =
    encrypted === undefined
      ? plain
      : encryptedStore(
          plain,
          encrypted === "profile-key"
            ? await browserStoreKey(name)
            : await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, [
                "encrypt",
                "decrypt",
              ]),
        )
  const replica = loroReplica({ name: "notes", store })
  if (joined === undefined) {
    attached = await replica.attach({
      roomTag: new Uint8Array(32),
      device: "ab".repeat(32),
      changed: () => undefined,
      report: (report) => void reports.push(report),
      released: () => undefined,
      synced: () => Promise.resolve(),
      links: createState(new Map<string, never>()),
    })
    docs = attached.handle
    return
  }
  room = await openRoom({
    invite: joined.invite,
    identity: memoryIdentity(),
    transports: [...(joined.tabs === true ? [tabs()] : []), webrtc({ signaling: joined.signaling })],
  })
  room.diagnostics.subscribe((diagnostic) => {
    if (diagnostic.type === "replica") reports.push(diagnostic.report)
  })
  docs = await room.replicate(replica)
  if (joined.name !== undefined) room.presence.set({ name: joined.name, color: "#336699" })
}

export async function stop(): Promise<void> {
  await room?.close()
  await attached?.detach()
}

export async function open(id: string): Promise<void> {
  if (docs === null) throw new Error("not started")
  if (!documents.has(id)) documents.set(id, await docs.open(id))
}

function opened(id: string): LoroDocument {
  const document = documents.get(id)
  if (document === undefined) throw new Error(`${id} is not open`)
  return document
}

export function read(id: string): string {
  return opened(id).doc.getText("body").toString()
}

export function deviceAuthors(id: string): readonly (string | null)[] {
  return opened(id)
    .history.list()
    .map((entry) => entry.device)
}

/** Makes the browser itself record what `typeForEver` types. Resolves to the last write that it still knows of. */
export async function remember(): Promise<WitnessedWrite | null> {
  witness = await openWitness()
  return witness.last()
}

/** Appends words until the page is gone; `typed` tells which of them are durable. */
export function typeForEver(id: string, prefix: string, everyMs: number, round = 0): void {
  const document = opened(id)
  let count = 0
  const typeOne = (): void => {
    const n = count++
    const word = `${prefix}${n}`
    const text = document.doc.getText("body")
    text.insert(text.length, `${word} `)
    document.commit()
    const note = async (): Promise<void> => {
      await document.saved()
      acknowledged.push(word)
      await witness?.testify({ round, n })
      witnessed = { round, n }
    }
    note().catch((error: unknown) => console.error(String(error)))
    setTimeout(typeOne, everyMs)
  }
  typeOne()
}

export function typed(): readonly string[] {
  return acknowledged
}

export function lastWitnessed(): WitnessedWrite | null {
  return witnessed
}

export async function saved(id: string): Promise<void> {
  await opened(id).saved()
}

export async function list(): Promise<number> {
  return (await docs?.list())?.length ?? 0
}

export function reported(): readonly string[] {
  return reports.map((report) => `${report.type}: ${report.reason}`)
}

export async function waitForText(id: string, part: string, timeoutMs: number): Promise<void> {
  const start = performance.now()
  while (!read(id).includes(part)) {
    if (performance.now() - start > timeoutMs)
      throw new Error(`waited ${timeoutMs} ms for ${part}; there is ${read(id).slice(-200)}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** A textarea bound to the text, into which the test types as a person does. */
export function bindArea(id: string): void {
  const area = document.createElement("textarea")
  area.rows = 5
  document.body.append(area)
  const cursor = room === null ? {} : { cursor: presenceCursor(room.presence) }
  bindTextarea(textOf(opened(id), "body"), area, cursor)
}

export function bindEditor(id: string): void {
  const text = textOf(opened(id), "body")
  new EditorView({
    parent: document.body,
    doc: text.text().toString(),
    extensions: [loroCodeMirror(room === null ? { text } : { text, presence: room.presence })],
  })
}

export function area(): { value: string; start: number; end: number; scrollTop: number } {
  const element = document.querySelector("textarea")
  if (element === null) throw new Error("no textarea")
  return {
    value: element.value,
    start: element.selectionStart,
    end: element.selectionEnd,
    scrollTop: element.scrollTop,
  }
}

export function select(start: number, end: number): void {
  const element = document.querySelector("textarea")
  element?.focus()
  element?.setSelectionRange(start, end)
}

export function insert(id: string, at: number, text: string): void {
  opened(id).doc.getText("body").insert(at, text)
  opened(id).commit()
}

export function remove(id: string, at: number, length: number): void {
  opened(id).doc.getText("body").delete(at, length)
  opened(id).commit()
}
