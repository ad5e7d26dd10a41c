import { createState, type State } from "@dunlin/core"
import { smallStore } from "./small-store.ts"

export type Theme = "system" | "light" | "dark"

const saved = smallStore.read("theme")
const state = createState<Theme>(saved === "light" || saved === "dark" ? saved : "system")

export const theme: State<Theme> = state

export function saveTheme(next: Theme): void {
  smallStore.write("theme", next)
  state.set(next)
  applyTheme()
}

/** `light-dark()` follows `color-scheme`, so one attribute switches every colour. */
export function applyTheme(): void {
  const value = state.get()
  if (value === "system") delete document.documentElement.dataset["theme"]
  else document.documentElement.dataset["theme"] = value
  // Phones colour the bars around the page by these two.
  for (const scheme of ["light", "dark"] as const) {
    const meta = document.querySelector<HTMLMetaElement>(`meta[name="theme-color"][data-scheme="${scheme}"]`)
    const system = `(prefers-color-scheme: ${scheme})`
    if (meta !== null) meta.media = value === "system" ? system : value === scheme ? "all" : "not all"
  }
}
