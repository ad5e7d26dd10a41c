import { useMemo } from "react"
import { useLocation } from "wouter"
import { saveTheme } from "../device/theme.ts"
import { useNewDocument } from "../documents/use-new-document.ts"
import { showOverlay } from "../shell/overlay.ts"
import type { IconName } from "../ui/icon.tsx"

export interface Command {
  readonly name: string
  readonly icon: IconName
  readonly run: () => void
}

export function useCommands(): readonly Command[] {
  const [, navigate] = useLocation()
  const create = useNewDocument()
  return useMemo(
    (): readonly Command[] => [
      { name: "New document", icon: "plus", run: () => void create() },
      { name: "Share this workspace", icon: "share", run: () => showOverlay("share") },
      { name: "Go to the board", icon: "board", run: () => navigate("/board") },
      { name: "Go to the quick note", icon: "note", run: () => navigate("/note") },
      { name: "Go to people", icon: "people", run: () => navigate("/people") },
      { name: "Settings, export and import", icon: "settings", run: () => navigate("/settings") },
      { name: "Light theme", icon: "sun", run: () => saveTheme("light") },
      { name: "Dark theme", icon: "moon", run: () => saveTheme("dark") },
      { name: "Keyboard shortcuts", icon: "keyboard", run: () => showOverlay("shortcuts") },
    ],
    [navigate, create],
  )
}
