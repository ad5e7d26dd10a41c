import { createState, type State } from "@dunlin/core"
import { cleanName } from "../device/profile.ts"
import { smallStore } from "../device/small-store.ts"
import { readInvite } from "./invite-link.ts"

/** A workspace this device belongs to. The invite is its key: it stays in this browser. */
export interface KnownWorkspace {
  readonly id: string
  readonly name: string
  readonly invite: string
}

interface Registry {
  readonly current: string | null
  readonly workspaces: readonly KnownWorkspace[]
}

const KEY = "workspaces"
const state = createState<Registry>(stored())

export const registry: State<Registry> = state

/** Follows what other tabs do to the list. */
export function followRegistry(): () => void {
  return smallStore.watch(KEY, () => state.set(stored()))
}

/** Adds the workspace of an invite, or finds it, and makes it the one that opens next. */
export function enterWorkspace(id: string, invite: string, name: string): KnownWorkspace {
  const { workspaces } = stored()
  const known = workspaces.find((workspace) => workspace.id === id)
  const entry = known ?? { id, invite, name }
  save({ current: id, workspaces: known ? workspaces : [...workspaces, entry] })
  return entry
}

export function renameWorkspace(id: string, name: string): void {
  const clean = cleanName(name)
  if (clean === "") return
  const present = stored()
  const workspaces = present.workspaces.map((entry) => (entry.id === id ? { ...entry, name: clean } : entry))
  save({ ...present, workspaces })
}

export function forgetWorkspace(id: string): void {
  const workspaces = stored().workspaces.filter((entry) => entry.id !== id)
  save({ current: workspaces[0]?.id ?? null, workspaces })
}

export function currentWorkspace(): KnownWorkspace | null {
  const { current, workspaces } = stored()
  return workspaces.find((entry) => entry.id === current) ?? workspaces[0] ?? null
}

/** Read anew for each change: another tab may have added a workspace, and its invite is nowhere else. */
function stored(): Registry {
  return parseRegistry(smallStore.read(KEY))
}

function save(next: Registry): void {
  smallStore.write(KEY, JSON.stringify(next))
  state.set(next)
}

function parseRegistry(text: string | null): Registry {
  try {
    const value = JSON.parse(text ?? "null") as { current?: unknown; workspaces?: unknown } | null
    const workspaces = (Array.isArray(value?.workspaces) ? value.workspaces : []).flatMap(parseEntry)
    return { current: typeof value?.current === "string" ? value.current : null, workspaces }
  } catch {
    return { current: null, workspaces: [] }
  }
}

function parseEntry(value: unknown): readonly KnownWorkspace[] {
  const { invite, name } = (value ?? {}) as Record<string, unknown>
  const reading = typeof invite === "string" ? readInvite(invite) : null
  if (reading?.type !== "invite") return []
  return [{ id: reading.workspaceId, invite: reading.invite, name: cleanName(name) || "Workspace" }]
}
