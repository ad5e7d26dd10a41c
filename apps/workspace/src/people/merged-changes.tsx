import "./merged-changes.css"
import { useStateValue } from "@dunlin/react"
import { useState } from "react"
import { type Column, columnName } from "../data/entries.ts"
import type { Merge } from "../data/merge-log.ts"
import { attempt } from "../ui/attempt.ts"
import { Ago } from "../ui/ago.tsx"
import { Dialog } from "../ui/dialog.tsx"
import { Icon } from "../ui/icon.tsx"
import { useWorkspace } from "../workspace/workspace-context.ts"
import type { Workspace } from "../workspace/workspace.ts"

/** Says that people changed the same thing while apart, and offers the values that were not kept. */
export function MergedChanges({ kind }: { readonly kind: "task" | "all" }) {
  const { merges } = useWorkspace()
  const [open, setOpen] = useState(false)
  const shown = useStateValue(merges.merges, []).filter((merge) => kind === "all" || merge.kind === kind)
  if (shown.length === 0) return null
  const unseen = shown.filter((merge) => !merge.seen).length
  return (
    <>
      <button type="button" className="button quiet merged" onClick={() => setOpen(true)}>
        <Icon name="merge" size={16} />
        Merged changes
        {unseen > 0 && <span className="count numbers">{unseen}</span>}
      </button>
      {open && (
        <MergedDialog
          merges={shown}
          onClose={() => {
            setOpen(false)
            void merges.markSeen().catch(() => undefined)
          }}
        />
      )}
    </>
  )
}

function MergedDialog({
  merges,
  onClose,
}: {
  readonly merges: readonly Merge[]
  readonly onClose: () => void
}) {
  return (
    <Dialog title="Merged changes" onClose={onClose}>
      <p className="soft">
        These were changed in two places at once. The later change stayed; the other one is kept here, in case
        it was the better one.
      </p>
      <ul className="merges">
        {merges.slice(0, 50).map((merge) => (
          <MergeEntry key={merge.id} merge={merge} />
        ))}
      </ul>
    </Dialog>
  )
}

const FIELDS: Readonly<Record<string, string>> = {
  title: "Title",
  note: "Note",
  column: "Column",
  tags: "Tags",
  archived: "State",
}

function MergeEntry({ merge }: { readonly merge: Merge }) {
  const workspace = useWorkspace()
  const [restored, setRestored] = useState(false)
  return (
    <li>
      <header>
        <strong>{merge.title || "Untitled"}</strong>
        <span className="soft">
          {FIELDS[merge.field] ?? merge.field} · <Ago at={merge.at} />
        </span>
      </header>
      <dl>
        <dt>{merge.keptBy || "Someone"}</dt>
        <dd className="kept">{words(merge, merge.kept)}</dd>
        <dt>{merge.lostBy || "Someone"}</dt>
        <dd className="lost">{words(merge, merge.lost)}</dd>
      </dl>
      <button
        type="button"
        className="button"
        disabled={restored}
        onClick={() => void attempt(restore(workspace, merge).then(() => setRestored(true)))}
      >
        {restored ? "Restored" : `Restore what ${merge.lostBy || "the other"} had`}
      </button>
    </li>
  )
}

function words(merge: Merge, value: string): string {
  if (merge.field === "column") return columnName(value)
  return value === "" ? "(empty)" : value
}

async function restore({ documents, tasks }: Workspace, { kind, target, field, lost }: Merge): Promise<void> {
  if (kind === "task") {
    if (field === "column") return tasks.edit(target, { column: lost as Column })
    return tasks.edit(target, field === "note" ? { note: lost } : { title: lost })
  }
  if (field === "tags") return documents.setTags(target, lost === "" ? [] : lost.split(", "))
  if (field === "archived") return documents.setArchived(target, lost === "archived")
  return documents.rename(target, lost)
}
