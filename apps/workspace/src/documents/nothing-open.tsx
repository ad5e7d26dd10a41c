import { AwaitedRun, FirstRun } from "../shell/first-run.tsx"
import { shownKeys } from "../shell/shortcuts.ts"
import { Mark } from "../ui/icon.tsx"
import { useDocuments } from "../workspace/workspace-context.ts"
import { useIsAwaited } from "./use-is-awaited.ts"

export function NothingOpen() {
  const documents = useDocuments()
  if (documents === null) return null
  if (documents.length === 0) return <NothingYet />
  return (
    <div className="centre">
      <Mark size={44} />
      <p className="soft">
        Choose a document, or press <kbd>{shownKeys("Ctrl K")}</kbd> to find one.
      </p>
    </div>
  )
}

function NothingYet() {
  return useIsAwaited() ? <AwaitedRun /> : <FirstRun />
}
