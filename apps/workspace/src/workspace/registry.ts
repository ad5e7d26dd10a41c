import { createState, type State } from "@dunlin/core"
import { cleanName } from "../device/profile.ts"
import { smallStore } from "../device/small-store.ts"
import { readInvite } from "./invite-link.ts"

/** A workspace that this device belongs to. The invite is its key, and stays in this browser. */
export interface KnownWorkspace {
  readonly id: string
  readonly name: string
  readonly invite: string
  /** The workspace was begun elsewhere, and nobody else's data has arrived yet. */
  readonly isAwaited?: boolean
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

/** Adds the workspace of an invite, or finds it, and makes it the one to open next. */
export function enterWorkspace(workspace: KnownWorkspace): KnownWorkspace {
  const { workspaces } = stored()
  const known = workspaces.find(({ id }) => id === workspace.id)
  const entry = known ?? { ...workspace, name: freeName(workspace.name, workspaces) }
  save({ current: entry.id, workspaces: known ? workspaces : [...workspaces, entry] })
  return entry
}

export function renameWorkspace(id: string, name: string): void {
  const clean = cleanName(name)
  if (clean !== "") change(id, (entry) => ({ ...entry, name: clean }))
}

/** The data of others has arrived: what is not here now is nowhere. */
export function noteArrival(id: string): void {
  change(id, (entry) => ({ ...entry, isAwaited: false }))
}

export function forgetWorkspace(id: string): void {
  const workspaces = stored().workspaces.filter((entry) => entry.id !== id)
  save({ current: workspaces[0]?.id ?? null, workspaces })
}

export function currentWorkspace(): KnownWorkspace | null {
  const { current, workspaces } = stored()
  return workspaces.find((entry) => entry.id === current) ?? workspaces[0] ?? null
}

function change(id: string, to: (entry: KnownWorkspace) => KnownWorkspace): void {
  const present = stored()
  save({ ...present, workspaces: present.workspaces.map((entry) => (entry.id === id ? to(entry) : entry)) })
}

/** "Shared workspace", then "Shared workspace 2": in a menu, equal names could not be told apart. */
function freeName(name: string, workspaces: readonly KnownWorkspace[]): string {
  const isTaken = (candidate: string): boolean => workspaces.some((entry) => entry.name === candidate)
  let free = name
  for (let count = 2; isTaken(free); count++) free = `${name} ${count}`
  return free
}

/** Read again for each change: another tab may have added a workspace, and its invite is stored nowhere else. */
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
  const { invite, name, isAwaited } = (value ?? {}) as Record<string, unknown>
  const reading = typeof invite === "string" ? readInvite(invite) : null
  if (reading?.type !== "invite") return []
  const entry = { id: reading.workspaceId, invite: reading.invite, name: cleanName(name) || "Workspace" }
  return [isAwaited === true ? { ...entry, isAwaited } : entry]
}
