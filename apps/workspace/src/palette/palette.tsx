import "./palette.css"
import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react"
import { Icon } from "../ui/icon.tsx"
import { useModal } from "../ui/use-modal.ts"
import { type PaletteEntry, usePaletteGroups } from "./use-palette-groups.ts"

/** Search and commands in one field. */
export function Palette({ onClose }: { readonly onClose: () => void }) {
  const dialog = useModal()
  const list = useId()
  const [query, setQuery] = useState("")
  const [chosen, setChosen] = useState<string | null>(null)
  const groups = usePaletteGroups(query)
  const entries = groups.flatMap((group) => group.entries)
  // Texts and other people's changes may arrive while one chooses: the chosen entry stays chosen, wherever it moves.
  const active = entries.find(({ key }) => key === chosen) ?? entries[0]
  const idOf = (entry: PaletteEntry): string => `${list}-${entries.indexOf(entry)}`

  function run(entry: PaletteEntry | undefined): void {
    if (entry === undefined) return
    // A dialog that closes returns the focus. Later, it would take it from where the entry puts it.
    dialog.current?.close()
    onClose()
    entry.run()
  }

  function pressed(event: KeyboardEvent): void {
    // Keys that compose a word, as in Japanese, are not meant for the list.
    if (event.nativeEvent.isComposing || active === undefined) return
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step !== undefined) {
      event.preventDefault()
      setChosen(entries.at((entries.indexOf(active) + step) % entries.length)?.key ?? null)
    }
    if (event.key === "Enter") {
      // Otherwise the key would press whatever has the focus in a dialog that opens now.
      event.preventDefault()
      run(active)
    }
  }

  return (
    <dialog ref={dialog} className="dialog palette" aria-label="Search and commands" onCancel={(event) => { event.preventDefault(); onClose() }} onClose={() => dialog.current?.open === false && onClose()} onPointerDown={(event) => event.target === event.currentTarget && onClose()}>
      <div className="palette-box">
        <div className="palette-field">
          <Icon name="search" />
          <input autoFocus dir="auto" role="combobox" aria-expanded="true" aria-autocomplete="list" aria-controls={list} aria-activedescendant={active && idOf(active)} aria-label="Search documents, tasks and commands" placeholder="Search, or run a command" value={query} onChange={(event) => { setQuery(event.target.value); setChosen(null) }} onKeyDown={pressed} />
          <button type="button" className="icon-button" aria-label="Close" onClick={onClose}><Icon name="close" /></button>
        </div>
        <div id={list} role="listbox" aria-label="Results" className="palette-list">
          {groups.map(({ name, entries: inGroup }) => (
            <ul key={name} role="group" aria-label={name}>
              <li role="presentation" className="palette-group soft">{name}</li>
              {inGroup.map((entry) => (
                <Result key={entry.key} id={idOf(entry)} entry={entry} active={entry === active} run={() => run(entry)} hover={() => setChosen(entry.key)} />
              ))}
            </ul>
          ))}
        </div>
        <p role="status" className={entries.length === 0 ? "soft palette-none" : "visually-hidden"}>
          {entries.length === 0 ? "Nothing found." : `${entries.length} ${entries.length === 1 ? "result" : "results"}`}
        </p>
      </div>
    </dialog>
  ) // prettier-ignore
}

interface ResultProps {
  readonly id: string
  readonly entry: PaletteEntry
  readonly active: boolean
  readonly run: () => void
  readonly hover: () => void
}

function Result({ id, entry, active, run, hover }: ResultProps) {
  const element = useRef<HTMLLIElement>(null)
  useEffect(() => {
    if (active) element.current?.scrollIntoView({ block: "nearest" })
  }, [active])
  return (
    <li ref={element} id={id} role="option" aria-selected={active} onClick={run} onPointerMove={hover}>
      <Icon name={entry.icon} />
      <span className="result-text">
        <span dir="auto">{entry.title}</span>
        {entry.excerpt && (
          <span className="soft" dir="auto">
            {entry.excerpt.before}
            <mark>{entry.excerpt.match}</mark>
            {entry.excerpt.after}
          </span>
        )}
      </span>
      <span className="soft result-hint">{entry.hint}</span>
    </li>
  )
}
