import { useEffect } from "react"
import { useLocation } from "wouter"
import { cleanName } from "../device/profile.ts"
import { useDocuments } from "../workspace/workspace-context.ts"
import { documentAt } from "./paths.ts"

const TITLES: Readonly<Record<string, string>> = {
  documents: "Documents",
  board: "Board",
  note: "Quick note",
  people: "People",
  settings: "Settings",
}

/** Names the page after what is open, so that several tabs can be told apart. */
export function PageTitle() {
  const [location] = useLocation()
  const documents = useDocuments()
  const id = documentAt(location)
  const open = id === null ? undefined : documents?.find((document) => document.id === id)
  const section = TITLES[location.split("/")[1] ?? ""] ?? "Workspace"
  const name = open === undefined ? section : cleanName(open.title) || "Untitled"
  useEffect(() => {
    document.title = `${name} · Dunlin`
  }, [name])
  return null
}
