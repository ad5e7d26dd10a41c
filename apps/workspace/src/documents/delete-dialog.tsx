import { Dialog } from "../ui/dialog.tsx"

export interface DeleteDialogProps {
  readonly title: string
  readonly onDelete: () => void
  readonly onClose: () => void
}

export function DeleteDialog({ title, onDelete, onClose }: DeleteDialogProps) {
  return (
    <Dialog title="Delete forever?" onClose={onClose}>
      <p>
        “{title || "Untitled"}” is deleted here, and on every other device of this workspace as soon as that device
        connects: its text, its history, and what anybody has written in it meanwhile.
      </p>
      <p className="soft">Nobody can bring it back. Exports and other copies stay where they are.</p>
      <div className="actions">
        <button type="button" className="button" onClick={onClose}>Keep it</button>
        <button type="button" className="button primary danger" onClick={onDelete}>Delete forever</button>
      </div>
    </Dialog>
  ) // prettier-ignore
}
