import { EditorView } from "@codemirror/view"
import { memoryIdentity, openRoom, type Room } from "@dunlin/core"
import { webrtc } from "@dunlin/core/webrtc"
import { indexedDbStore, type LoroDocument, loroReplica, textOf } from "@dunlin/loro"
import { loroCodeMirror } from "@dunlin/loro/codemirror"
import { createRawPeer, type RawChannel, wallMs } from "./raw-channel.ts"

let room: Room | null = null
let document_: LoroDocument | null = null
const raw = createRawPeer(() => new RTCPeerConnection({ iceServers: [] }))
let rawChannel: RawChannel | null = null
let accompanied = false
const marks: Record<string, number[]> = {
  key: [],
  dom: [],
  emitted: [],
  heard: [],
  imported: [],
  rawSent: [],
  rawHeard: [],
}

const mark = (name: string, at = wallMs()): void => void marks[name]?.push(at)

export async function start(invite: string, signaling: string): Promise<void> {
  watchChannels()
  room = await openRoom({ invite, identity: memoryIdentity(), transports: [webrtc({ signaling })] })
  const docs = await room.replicate(loroReplica({ name: "bench", store: indexedDbStore("bench") }))
  document_ = await docs.open("page")
  const { doc } = document_
  doc.subscribeLocalUpdates(() => {
    mark("emitted")
    if (accompanied) rawSend(130)
  })
  const importUpdate = doc.import.bind(doc)
  doc.import = (bytes) => {
    mark("imported")
    return importUpdate(bytes)
  }
  const text = textOf(document_, "body")
  const view = new EditorView({
    parent: document.body,
    doc: text.text().toString(),
    extensions: [loroCodeMirror({ text, presence: room.presence })],
  })
  watch(view.contentDOM)
}

/** Marks when the page hears from a channel of the room: what lies between two pages is up to the browsers. */
function watchChannels(): void {
  const { prototype } = RTCDataChannel
  const property = Object.getOwnPropertyDescriptor(prototype, "onmessage")
  Object.defineProperty(prototype, "onmessage", {
    ...property,
    set(this: RTCDataChannel, hear: ((event: MessageEvent) => void) | null) {
      const marked = (event: MessageEvent): void => {
        if (this.label === "control") mark("heard")
        hear?.(event)
      }
      property?.set?.call(this, hear === null ? null : marked)
    },
  })
}

/** Marks when the editor's content changes for any reason, and when a key goes down. */
function watch(content: HTMLElement): void {
  new MutationObserver(() => mark("dom")).observe(content, {
    childList: true,
    characterData: true,
    subtree: true,
  })
  content.addEventListener("keydown", (event) => mark("key", performance.timeOrigin + event.timeStamp), true)
}

export async function waitForPeer(): Promise<void> {
  while (!room?.peers.get().some((peer) => peer.stage === "live"))
    await new Promise((resolve) => setTimeout(resolve, 10))
}

export function fill(characters: number): void {
  const text = document_?.doc.getText("body")
  text?.insert(0, "All work and no play. ".repeat(Math.ceil(characters / 22)).slice(0, characters))
  document_?.commit()
}

export function length(): number {
  return document_?.doc.getText("body").length ?? 0
}

export async function settled(): Promise<void> {
  await document_?.synced()
}

export function insert(text: string): void {
  const body = document_?.doc.getText("body")
  body?.insert(body.length, text)
  document_?.commit()
}

/** Payload bytes sent and received over all links. */
export function bytes(): number {
  let sum = 0
  for (const { bytesIn, bytesOut } of room?.diagnostics.counters().values() ?? []) sum += bytesIn + bytesOut
  return sum
}

export function take(): Record<string, readonly number[]> {
  return Object.fromEntries(Object.entries(marks).map(([name, list]) => [name, list.splice(0)]))
}

export const rawOffer = (): Promise<string> => raw.offer()
export const rawAnswer = (offer: string): Promise<string> => raw.answer(offer)
export const rawAccept = (answer: string): Promise<void> => raw.accept(answer)
export async function rawOpen(): Promise<void> {
  rawChannel = await raw.channel()
  rawChannel.onmessage = () => mark("rawHeard")
}
/** Sends a bare message with every edit: like the edit, it travels while the browser draws. */
export function accompany(on: boolean): void {
  accompanied = on
}
export function rawSend(length: number): void {
  mark("rawSent")
  rawChannel?.send(new Uint8Array(length))
}
