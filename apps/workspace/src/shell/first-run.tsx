import "./first-run.css"
import { useState } from "react"
import { useNewDocument } from "../documents/use-new-document.ts"
import { attempt } from "../ui/attempt.ts"
import { Icon, Mark } from "../ui/icon.tsx"
import { useWorkspace } from "../workspace/workspace-context.ts"
import { showOverlay } from "./overlay.ts"

export function FirstRun() {
  const workspace = useWorkspace()
  const [loading, setLoading] = useState(false)

  async function loadSample(): Promise<void> {
    setLoading(true)
    await attempt(import("../transfer/sample.ts").then(({ addSample }) => addSample(workspace)))
    setLoading(false)
  }

  return (
    <div className="first-run">
      <Mark size={52} />
      <h2 className="serif-title">A workspace that lives on your devices</h2>
      <p className="soft lead">
        What you write is stored here first and travels straight to the devices you share with. There is no
        account, and no server holds a copy.
      </p>
      <ol>
        <li>
          <WriteSomething />
        </li>
        <li>
          <button type="button" className="choice" onClick={() => showOverlay("share")}>
            <Icon name="window" size={20} />
            <span>
              <strong>Open it in a second window</strong>
              <span className="soft">Copy the invite link into another browser and watch both move.</span>
            </span>
          </button>
        </li>
        <li>
          <button type="button" className="choice" disabled={loading} onClick={() => void loadSample()}>
            <Icon name="download" size={20} />
            <span>
              <strong>{loading ? "Loading the sample…" : "Start from a sample"}</strong>
              <span className="soft">A few documents and a board about a season of counting birds.</span>
            </span>
          </button>
        </li>
      </ol>
    </div>
  )
}

/** Somebody invited this device. A sample would end up among their documents, which are still to arrive. */
export function AwaitedRun() {
  return (
    <div className="first-run late">
      <Mark size={52} />
      <h2 className="serif-title">Waiting for the others’ documents</h2>
      <p className="soft lead">
        You joined a shared workspace. What is in it comes straight from the devices of the others, and
        appears here by itself once one of them is open and online.
      </p>
      <WriteSomething />
    </div>
  )
}

function WriteSomething() {
  const create = useNewDocument()
  return (
    <button type="button" className="choice" onClick={() => void create()}>
      <Icon name="document" size={20} />
      <span>
        <strong>Write something</strong>
        <span className="soft">A document others can edit with you, at the same time or days apart.</span>
      </span>
    </button>
  )
}
