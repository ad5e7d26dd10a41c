import "./settings.css"
import { useStateValue } from "@dunlin/react"
import { useEffect, useState } from "react"
import { askPersistence, measureStorage, storageHealth, type Persistence } from "../device/storage-health.ts"
import { HUES, profile, saveProfile } from "../device/profile.ts"
import { saveTheme, theme, type Theme } from "../device/theme.ts"
import { Dialog } from "../ui/dialog.tsx"
import { DraftInput } from "../ui/draft-input.tsx"
import { registry, renameWorkspace } from "../workspace/registry.ts"
import { leaveWorkspace } from "../workspace/start.ts"
import { useWorkspace } from "../workspace/workspace-context.ts"
import { TransferSettings } from "../transfer/transfer-settings.tsx"

export function SettingsScreen() {
  return (
    <div className="screen settings">
      <header className="screen-head">
        <h1 className="serif-title">Settings</h1>
      </header>
      <ProfileSettings />
      <ThemeSettings />
      <StorageSettings />
      <TransferSettings />
      <WorkspaceSettings />
    </div>
  )
}

function ProfileSettings() {
  const own = useStateValue(profile, profile.get())
  return (
    <section>
      <h2>You</h2>
      <label className="labelled">
        <span>Name, as others see it</span>
        <DraftInput className="field" maxLength={40} autoComplete="nickname" value={own.name} save={async (name) => { saveProfile({ ...own, name }); return true }} />
      </label>
      <fieldset className="hues">
        <legend>Your colour</legend>
        {Array.from({ length: HUES }, (_, hue) => (
          <label key={hue} className={`hue-${hue}`}>
            <input type="radio" name="hue" checked={own.hue === hue} onChange={() => saveProfile({ ...own, hue })} />
            <span className="visually-hidden">Colour {hue + 1}</span>
          </label>
        ))}
      </fieldset>
    </section>
  ) // prettier-ignore
}

const THEMES: readonly { readonly id: Theme; readonly name: string }[] = [
  { id: "system", name: "As the system" },
  { id: "light", name: "Light" },
  { id: "dark", name: "Dark" },
]

function ThemeSettings() {
  const chosen = useStateValue(theme, "system")
  return (
    <section>
      <h2>Appearance</h2>
      <div className="segments" role="group" aria-label="Theme">
        {THEMES.map(({ id, name }) => (
          <button key={id} type="button" aria-pressed={chosen === id} onClick={() => saveTheme(id)}>
            {name}
          </button>
        ))}
      </div>
    </section>
  )
}

const PERSISTENCE: Readonly<Record<Persistence, string>> = {
  unknown: "Asking the browser…",
  granted: "The browser promised to keep the data until you delete it.",
  denied: "The browser may delete the data when space runs short. Installing the app or visiting often makes it keep it; a second device or an export is the sure way.",
  unsupported: "This browser makes no promise about keeping data. A second device or an export is the sure way.",
} // prettier-ignore

function StorageSettings() {
  const health = useStateValue(storageHealth, storageHealth.get())
  useEffect(() => void measureStorage(), [])
  const { usedBytes, quotaBytes, persistence } = health
  return (
    <section>
      <h2>Storage on this device</h2>
      {usedBytes !== null && quotaBytes !== null && (
        <>
          <meter
            min={0}
            max={1}
            value={Math.max(usedBytes / Math.max(quotaBytes, 1), 0.004)}
            aria-label="Storage used"
          />
          <p className="numbers">
            {formatBytes(usedBytes)} used of the {formatBytes(quotaBytes)} this browser allows.
          </p>
        </>
      )}
      <p className="soft" data-testid="persistence">
        {PERSISTENCE[persistence]}
      </p>
      {persistence === "denied" && (
        <button type="button" className="button" onClick={() => void askPersistence()}>
          Ask the browser to keep it
        </button>
      )}
    </section>
  )
}

function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`
  const units = ["kB", "MB", "GB", "TB"]
  let value = bytes
  let unit = -1
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000
    unit++
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`
}

function WorkspaceSettings() {
  const { id } = useWorkspace()
  const { workspaces } = useStateValue(registry, registry.get())
  const [leaving, setLeaving] = useState(false)
  const name = workspaces.find((entry) => entry.id === id)?.name ?? "Workspace"
  return (
    <section>
      <h2>This workspace</h2>
      <label className="labelled">
        <span>Name on this device</span>
        <DraftInput className="field" maxLength={40} value={name} save={async (text) => { renameWorkspace(id, text); return true }} />
      </label>
      <p>
        <button type="button" className="button danger" onClick={() => setLeaving(true)}>
          Remove from this device…
        </button>
      </p>
      {leaving && (
        <Dialog title="Remove this workspace?" onClose={() => setLeaving(false)}>
          <p>
            Everything of “{name}” is deleted from this device. Other devices keep their copies; if there are none, it is
            gone. Export it first if you are not sure.
          </p>
          <div className="actions">
            <button type="button" className="button" onClick={() => setLeaving(false)}>Keep it</button>
            <button type="button" className="button primary danger" onClick={() => void leaveWorkspace()}>Remove from this device</button>
          </div>
        </Dialog>
      )}
    </section>
  ) // prettier-ignore
}
