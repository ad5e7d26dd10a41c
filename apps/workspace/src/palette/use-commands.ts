import { useMemo } from "react"
import { useLocation } from "wouter"
import { saveTheme } from "../device/theme.ts"
import { useNewDocument } from "../documents/use-new-document.ts"
import { showOverlay } from "../shell/overlay.ts"
import type { IconName } from "../ui/icon.tsx"

export interface Command {
  readonly name: string
  /** Further words by which people may look for the command. */
  readonly also?: string
  readonly icon: IconName
  readonly run: () => void
}

export function useCommands(): readonly Command[] {
  const [, navigate] = useLocation()
  const create = useNewDocument()
  return useMemo(
    (): readonly Command[] => [
      { name: "New document", also: "create add page", icon: "plus", run: () => void create() },
      { name: "Share this workspace", also: "invite link", icon: "share", run: () => showOverlay("share") },
      {
        name: "Join a workspace with a link",
        also: "invite paste",
        icon: "link",
        run: () => showOverlay("join"),
      },
      { name: "Go to documents", also: "list", icon: "document", run: () => navigate("/documents") },
      { name: "Go to the board", also: "tasks", icon: "board", run: () => navigate("/board") },
      { name: "Go to the quick note", icon: "note", run: () => navigate("/note") },
      { name: "Go to people", also: "sync pause", icon: "people", run: () => navigate("/people") },
      {
        name: "Settings, export and import",
        also: "preferences backup name colour",
        icon: "settings",
        run: () => navigate("/settings"),
      },
      { name: "Light theme", also: "appearance mode", icon: "sun", run: () => saveTheme("light") },
      { name: "Dark theme", also: "appearance mode", icon: "moon", run: () => saveTheme("dark") },
      {
        name: "Keyboard shortcuts",
        also: "keys help",
        icon: "keyboard",
        run: () => showOverlay("shortcuts"),
      },
    ],
    [navigate, create],
  )
}
