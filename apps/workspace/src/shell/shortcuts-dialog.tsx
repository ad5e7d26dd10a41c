import "./shortcuts-dialog.css"
import { useStateValue } from "@dunlin/react"
import { saveSingleKeys, SHORTCUTS, shownKeys, singleKeys } from "./shortcuts.ts"
import { Dialog } from "../ui/dialog.tsx"

export function ShortcutsDialog({ onClose }: { readonly onClose: () => void }) {
  const on = useStateValue(singleKeys, true)
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl className="shortcuts">
        {SHORTCUTS.map(({ keys, does }) => (
          <div key={keys}>
            <dt>
              <Keys keys={shownKeys(keys)} />
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <label className="switch">
        <input type="checkbox" checked={on} onChange={(event) => saveSingleKeys(event.target.checked)} />
        <span>
          Single keys: ? and G
          <span className="soft">
            Turned off, the list is still in the palette: {shownKeys("Ctrl K")}, then “Keyboard shortcuts”.
          </span>
        </span>
      </label>
    </Dialog>
  )
}

/** Each key by itself, with the words between them: "G then D". */
function Keys({ keys }: { readonly keys: string }) {
  const parts = keys.split(/( then |, | )/)
  return parts.map((part, index) => (index % 2 === 0 ? <kbd key={index}>{part}</kbd> : part.replace(",", "")))
}
