import { useDocuments } from "../workspace/workspace-context.ts"
import { FirstRun } from "../shell/first-run.tsx"
import { Mark } from "../ui/icon.tsx"
import { shownKeys } from "../shell/shortcuts.ts"

export function NothingOpen() {
  const documents = useDocuments()
  if (documents === null) return null
  if (documents.length === 0) return <FirstRun />
  return (
    <div className="centre">
      <Mark size={44} />
      <p className="soft">
        Choose a document, or press <kbd>{shownKeys("Ctrl K")}</kbd> to find one.
      </p>
    </div>
  )
}
