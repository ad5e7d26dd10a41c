import { useRef, useState, type ChangeEvent } from "react"
import { attempt } from "../ui/attempt.ts"
import { Icon } from "../ui/icon.tsx"
import { useWorkspace } from "../workspace/workspace-context.ts"
import { describeCounts } from "./describe-counts.ts"

type Busy = "export" | "import" | null

export function TransferSettings() {
  const workspace = useWorkspace()
  const [busy, setBusy] = useState<Busy>(null)
  const [outcome, setOutcome] = useState("")
  const file = useRef<HTMLInputElement>(null)

  async function run(kind: "export" | "import", work: () => Promise<string>): Promise<void> {
    setBusy(kind)
    setOutcome("")
    await attempt(work().then(setOutcome), (reason) => setOutcome(`Could not ${kind}: ${reason}`))
    setBusy(null)
  }

  async function exportAll(): Promise<string> {
    const { describeExport, exportWorkspace } = await import("./export.ts")
    const exported = await exportWorkspace(workspace)
    const link = document.createElement("a")
    link.href = URL.createObjectURL(exported.blob)
    link.download = `dunlin-${new Date().toISOString().slice(0, 10)}.zip`
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
    return describeExport(exported)
  }

  async function importFiles(event: ChangeEvent<HTMLInputElement>): Promise<void> {
    const files = [...(event.target.files ?? [])]
    if (file.current) file.current.value = ""
    if (files.length === 0) return
    await run("import", async () => {
      const { importFiles: read } = await import("./import.ts")
      const { documents, tasks, skipped } = await read(workspace, files)
      const known = skipped > 0 ? ` ${skipped} ${skipped === 1 ? "was" : "were"} already here.` : ""
      return `Imported ${describeCounts(documents, tasks)}.${known}`
    })
  }

  return (
    <section>
      <h2>Export and import</h2>
      <p className="soft">A zip with every document as Markdown and the board as JSON: readable without this app.</p>
      <div className="transfer">
        <button type="button" className="button" disabled={busy !== null} onClick={() => void run("export", exportAll)}>
          <Icon name="download" size={16} />
          {busy === "export" ? "Exporting…" : "Export everything"}
        </button>
        <button type="button" className="button" disabled={busy !== null} onClick={() => file.current?.click()}>
          <Icon name="upload" size={16} />
          {busy === "import" ? "Importing…" : "Import…"}
        </button>
        <input ref={file} type="file" multiple hidden accept=".zip,.md,.markdown,.txt" aria-label="Files to import" onChange={(event) => void importFiles(event)} />
      </div>
      <p role="status">{outcome}</p>
    </section>
  ) // prettier-ignore
}
