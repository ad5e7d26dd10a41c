import { createInvite, createState, type State } from "@dunlin/core"
import { navigate } from "wouter/use-hash-location"
import { followDemo } from "../demo/demo-messages.ts"
import { deviceName } from "../device/namespace.ts"
import { askPersistence } from "../device/storage-health.ts"
import { inviteInHash, readInvite, takeInvite } from "./invite-link.ts"
import { currentWorkspace, enterWorkspace, forgetWorkspace, type KnownWorkspace } from "./registry.ts"
import { openWorkspace, type Workspace } from "./workspace.ts"

export type AppPhase =
  | { readonly type: "opening" }
  | { readonly type: "open"; readonly workspace: Workspace }
  | { readonly type: "failed"; readonly reason: string }

export type InviteTrouble = "damaged" | "too-new"

const phase = createState<AppPhase>({ type: "opening" })
const inviteTrouble = createState<InviteTrouble | null>(null)

export const appPhase: State<AppPhase> = phase
/** An invite that could not be used; what was open stays open. */
export const refusedInvite: State<InviteTrouble | null> = inviteTrouble

export function dismissInviteTrouble(): void {
  inviteTrouble.set(null)
}

/** Opens the workspace of an invite, else the one used last, else a new one. */
export async function startWorkspace(invite: string | null): Promise<void> {
  // A link pasted into a page that is already open arrives as a change of the fragment.
  addEventListener("hashchange", () => {
    if (inviteInHash(location.hash) !== null) void acceptInvite(takeInvite() ?? "")
  })
  await open(entryFor(invite))
  void askPersistence()
}

export async function acceptInvite(text: string): Promise<void> {
  const reading = readInvite(text)
  if (reading.type !== "invite") return inviteTrouble.set(reading.type)
  inviteTrouble.set(null)
  const present = phase.get()
  if (present.type === "open" && present.workspace.id === reading.workspaceId) return
  await switchWorkspace(enterWorkspace(reading.workspaceId, reading.invite, "Shared workspace"))
}

export async function switchWorkspace(entry: KnownWorkspace): Promise<void> {
  enterWorkspace(entry.id, entry.invite, entry.name)
  const present = phase.get()
  phase.set({ type: "opening" })
  navigate("/documents")
  if (present.type === "open") await present.workspace.close()
  await open(entry)
}

export async function addWorkspace(): Promise<void> {
  await switchWorkspace(newWorkspace("New workspace"))
}

/** Deletes the open workspace from this device; other devices keep theirs. */
export async function leaveWorkspace(): Promise<void> {
  const present = phase.get()
  if (present.type !== "open") return
  phase.set({ type: "opening" })
  navigate("/documents")
  await present.workspace.remove()
  forgetWorkspace(present.workspace.id)
  await open(currentWorkspace() ?? newWorkspace("My workspace"))
}

async function open(entry: KnownWorkspace): Promise<void> {
  try {
    const workspace = await openWorkspace(entry)
    phase.set({ type: "open", workspace })
    if (deviceName !== "") void followDemo(workspace)
  } catch (error) {
    phase.set({ type: "failed", reason: error instanceof Error ? error.message : String(error) })
  }
}

function entryFor(invite: string | null): KnownWorkspace {
  const reading = invite === null ? null : readInvite(invite)
  if (reading?.type === "invite") {
    return enterWorkspace(reading.workspaceId, reading.invite, "Shared workspace")
  }
  if (reading !== null) inviteTrouble.set(reading.type)
  return currentWorkspace() ?? newWorkspace("My workspace")
}

function newWorkspace(name: string): KnownWorkspace {
  const reading = readInvite(createInvite())
  if (reading.type !== "invite") throw new Error("A new invite could not be read: this is a defect of Dunlin")
  return enterWorkspace(reading.workspaceId, reading.invite, name)
}
