import { useStateValue } from "@dunlin/react"
import { useEffect, useMemo } from "react"
import { useLocation } from "wouter"
import type { DocumentEntry } from "../data/entries.ts"
import { searchWorkspace, type Excerpt, type SearchHit } from "../data/search.ts"
import { enterDocument } from "../documents/entered-document.ts"
import { documentAt, documentPath, taskPath } from "../shell/paths.ts"
import type { IconName } from "../ui/icon.tsx"
import { relativeTime } from "../ui/relative-time.ts"
import { useDocuments, useTasks, useWorkspace } from "../workspace/workspace-context.ts"
import { groupFound, groupUnasked, isCommandFor, type PaletteGroup } from "./palette-groups.ts"
import { type Command, useCommands } from "./use-commands.ts"

export interface PaletteEntry {
  readonly key: string
  readonly icon: IconName
  readonly title: string
  readonly excerpt: Excerpt | null
  readonly hint: string
  readonly run: () => void
}

type Navigate = (to: string) => void

const RECENT = 5

export function usePaletteGroups(query: string): readonly PaletteGroup<PaletteEntry>[] {
  const { bodies } = useWorkspace()
  const documents = useDocuments()
  const tasks = useTasks()
  const texts = useStateValue(bodies.texts, bodies.texts.get())
  const commands = useCommands()
  const [location, navigate] = useLocation()
  useEffect(() => void bodies.load(), [bodies])

  return useMemo(() => {
    const actions = commands.filter((command) => isCommandFor(command, query)).map(entryOfCommand)
    if (query.trim() === "") {
      // Nobody goes where they already are. Without the open document, Enter returns to the one before it.
      const others = (documents ?? []).filter(({ id, archived }) => !archived && id !== documentAt(location))
      return groupUnasked(
        others.slice(0, RECENT).map((document) => entryOfRecent(document, navigate)),
        actions,
      )
    }
    const hits = searchWorkspace({ documents: documents ?? [], tasks: tasks ?? [], bodies: texts }, query)
    return groupFound(
      hits.map((hit) => entryOfHit(hit, navigate)),
      actions,
    )
  }, [query, documents, tasks, texts, commands, location, navigate])
}

function entryOfCommand({ name, icon, run }: Command): PaletteEntry {
  return { key: `run ${name}`, icon, title: name, excerpt: null, hint: "", run }
}

function entryOfRecent({ id, title, updated }: DocumentEntry, navigate: Navigate): PaletteEntry {
  return {
    key: id,
    icon: "document",
    title: title || "Untitled",
    excerpt: null,
    hint: relativeTime(updated),
    run: () => openText(id, navigate),
  }
}

function entryOfHit(hit: SearchHit, navigate: Navigate): PaletteEntry {
  const { excerpt } = hit
  if (hit.type === "task") {
    const { id, title } = hit.task
    return { key: id, icon: "board", title: title || "Untitled", excerpt, hint: "Task", run: () => navigate(taskPath(id)) } // prettier-ignore
  }
  const { id, title, archived } = hit.document
  return {
    key: id,
    icon: archived ? "archive" : "document",
    title: title || "Untitled",
    excerpt,
    hint: archived ? "Archived" : "Document",
    run: () => openText(id, navigate),
  }
}

function openText(id: string, navigate: Navigate): void {
  navigate(documentPath(id))
  enterDocument(id)
}
