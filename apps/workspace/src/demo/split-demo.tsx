import "./split-demo.css"
import { useEffect, useRef, useState } from "react"
import { Icon, Mark } from "../ui/icon.tsx"
import { isDemoMessage, type DemoCommand, type DemoMessage } from "./demo-messages.ts"

const DEVICES = [
  { id: "a", name: "Ada’s laptop" },
  { id: "b", name: "Ben’s phone" },
] as const

/** Two devices on one screen, each with its own storage, and the cable between them. */
export function SplitDemo() {
  const [ready, setReady] = useState<DemoMessage | null>(null)
  const [cut, setCut] = useState(false)
  const first = useRef<HTMLIFrameElement>(null)
  const second = useRef<HTMLIFrameElement>(null)

  useEffect(() => {
    const received = ({ origin, data, source }: MessageEvent): void => {
      if (origin !== location.origin || source !== first.current?.contentWindow) return
      if (isDemoMessage(data)) setReady(data)
    }
    addEventListener("message", received)
    return () => removeEventListener("message", received)
  }, [])

  useEffect(() => {
    const command: DemoCommand = { dunlinDemo: "cable", cut }
    if (ready === null) return
    for (const frame of [first, second]) frame.current?.contentWindow?.postMessage(command, location.origin)
  }, [cut, ready])

  return (
    <main className="demo">
      <header>
        <Mark />
        <h1>Two devices, no server between their data</h1>
        <button type="button" className={`button cable ${cut ? "primary" : ""}`} aria-pressed={cut} onClick={() => setCut(!cut)}>
          <Icon name={cut ? "merge" : "close"} size={16} />
          {cut ? "Mend the cable" : "Cut the cable"}
        </button>
        <p className="soft" role="status">
          {cut ? "Cut: write on both sides. Nothing is lost." : "Connected: what one side writes, the other sees."}
        </p>
      </header>
      <div className="demo-devices" data-cut={cut ? "" : undefined}>
        <figure>
          <figcaption>{DEVICES[0].name}</figcaption>
          <iframe ref={first} title={DEVICES[0].name} src={addressOf("a", null)} allow="clipboard-write" />
        </figure>
        <div className="demo-line" aria-hidden="true" />
        {ready === null ? (
          <div className="centre soft">Waiting for the first device…</div>
        ) : (
          <figure>
            <figcaption>{DEVICES[1].name}</figcaption>
            <iframe ref={second} title={DEVICES[1].name} src={addressOf("b", ready)} allow="clipboard-write" />
          </figure>
        )}
      </div>
    </main>
  ) // prettier-ignore
}

function addressOf(device: string, ready: DemoMessage | null): string {
  const show = ready === null ? "" : `&show=${encodeURIComponent(ready.document)}`
  return `${location.pathname}?device=${device}${show}#${ready?.invite ?? "/documents"}`
}
