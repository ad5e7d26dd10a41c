import { EditorView } from "@codemirror/view"
import { yCollab } from "y-codemirror.next"
import { WebrtcProvider } from "y-webrtc"
import * as Y from "yjs"
import { wallMs } from "./raw-channel.ts"

const doc = new Y.Doc()
const text = doc.getText("body")
const marks: Record<string, number[]> = { key: [], dom: [] }
let provider: WebrtcProvider | null = null

export function start(room: string, signaling: string): void {
  provider = new WebrtcProvider(room, doc, {
    signaling: [signaling],
    password: "the room's secret",
    peerOpts: { config: { iceServers: [] } },
  })
  const view = new EditorView({
    parent: document.body,
    doc: text.toString(),
    extensions: [yCollab(text, provider.awareness)],
  })
  new MutationObserver(() => marks["dom"]?.push(wallMs())).observe(view.contentDOM, {
    childList: true,
    characterData: true,
    subtree: true,
  })
  view.contentDOM.addEventListener(
    "keydown",
    (event) => marks["key"]?.push(performance.timeOrigin + event.timeStamp),
    true,
  )
}

export async function waitForPeer(): Promise<void> {
  while ((provider?.room?.webrtcConns.size ?? 0) === 0)
    await new Promise((resolve) => setTimeout(resolve, 10))
}

export function fill(characters: number): void {
  text.insert(0, "All work and no play. ".repeat(Math.ceil(characters / 22)).slice(0, characters))
}

export function length(): number {
  return text.length
}

export function take(): Record<string, readonly number[]> {
  return Object.fromEntries(Object.entries(marks).map(([name, list]) => [name, list.splice(0)]))
}
