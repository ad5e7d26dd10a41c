import { createInvite, createState, type State } from "@dunlin/core"
import { navigate } from "wouter/use-hash-location"
import { followDemo } from "../demo/demo-messages.ts"
import { deviceName } from "../device/namespace.ts"
import { askPersistence } from "../device/storage-health.ts"
import { errorMessage } from "../ui/error-message.ts"
import { toast } from "../ui/toasts.tsx"
import { inviteInHash, readInvite, takeInvite, type InviteReading } from "./invite-link.ts"
import { inviteWords, type InviteOutcome, type InviteTrouble } from "./invite-outcome.ts"
import {
  currentWorkspace,
  enterWorkspace,
  followRegistry,
  forgetWorkspace,
  registry,
  type KnownWorkspace,
} from "./registry.ts"
import { openWorkspace, type Workspace } from "./workspace.ts"

export type AppPhase =
  | { readonly type: "opening" }
  | { readonly type: "open"; readonly workspace: Workspace }
  | { readonly type: "failed"; readonly reason: string }

const phase = createState<AppPhase>({ type: "opening" })
const inviteTrouble = createState<InviteTrouble | null>(null)

export const appPhase: State<AppPhase> = phase
/** Why an invite could not be used. The workspace that was open stays open. */
export const refusedInvite: State<InviteTrouble | null> = inviteTrouble

export function dismissInviteTrouble(): void {
  inviteTrouble.set(null)
}

/** Opens the workspace of an invite, otherwise the one used last, otherwise a new one. */
export async function startWorkspace(invite: string | null): Promise<void> {
  // A link pasted into a page that is already open arrives as a change of the fragment.
  addEventListener("hashchange", () => {
    if (inviteInHash(location.hash) === null) return
    const outcome = enterByInvite(takeInvite() ?? "")
    inviteTrouble.set(outcome === "damaged" || outcome === "too-new" ? outcome : null)
    if (outcome === "open-already") toast(inviteWords(outcome).title)
  })
  followRegistry()
  registry.subscribe(() => void inTurn(leaveIfRemoved))
  await inTurn(() => open(entryFor(invite)))
  void askPersistence()
}

/** Opens the workspace of an invite that comes while another one is open, or says at once why not. */
export function enterByInvite(text: string): InviteOutcome {
  const reading = readInvite(text)
  if (reading.type !== "invite") return reading.type
  if (openId() === reading.workspaceId) return "open-already"
  inviteTrouble.set(null)
  void inTurn(async () => {
    if (openId() === reading.workspaceId) return
    const before = currentWorkspace()
    const joined = joinWorkspace(reading)
    await openInstead(joined)
    if (before !== null)
      toast(`“${joined.name}” is open. “${before.name}” is still in the list of workspaces.`)
  })
  return "joins"
}

export function switchWorkspace(entry: KnownWorkspace): Promise<void> {
  return inTurn(async () => {
    if (openId() !== entry.id) await openInstead(enterWorkspace(entry))
  })
}

export function addWorkspace(): Promise<void> {
  return inTurn(() => openInstead(newWorkspace("New workspace")))
}

/** Deletes the open workspace from this device; other devices keep theirs. */
export function leaveWorkspace(): Promise<void> {
  return inTurn(async () => {
    const present = phase.get()
    if (present.type !== "open") return
    try {
      const remove = await present.workspace.prepareRemoval()
      phase.set({ type: "opening" })
      navigate("/documents")
      // Other tabs must close the workspace before its data is deleted.
      forgetWorkspace(present.workspace.id)
      await remove()
    } catch (error) {
      toast(`It could not be removed: ${errorMessage(error)}`)
      if (phase.get().type === "open") return
    }
    await open(currentWorkspace() ?? newWorkspace("My workspace"))
  })
}

let turn: Promise<unknown> = Promise.resolve()

/** Runs one at a time: a workspace opened while another is still closing would never be closed itself. */
function inTurn(work: () => Promise<void>): Promise<void> {
  const done = turn.then(work)
  turn = done.catch(() => undefined)
  return done
}

async function leaveIfRemoved(): Promise<void> {
  const id = openId()
  if (id === null || registry.get().workspaces.some((entry) => entry.id === id)) return
  toast("This workspace was removed in another tab.")
  await openInstead(currentWorkspace() ?? newWorkspace("My workspace"))
}

function openId(): string | null {
  const present = phase.get()
  return present.type === "open" ? present.workspace.id : null
}

async function openInstead(entry: KnownWorkspace): Promise<void> {
  const present = phase.get()
  phase.set({ type: "opening" })
  navigate("/documents")
  // A workspace that cannot be closed, such as after another tab deleted its storage, must not block the next one.
  if (present.type === "open") await present.workspace.close().catch(() => undefined)
  await open(entry)
}

async function open(entry: KnownWorkspace): Promise<void> {
  try {
    const workspace = await openWorkspace(entry)
    phase.set({ type: "open", workspace })
    if (deviceName !== "") void followDemo(workspace)
  } catch (error) {
    phase.set({ type: "failed", reason: errorMessage(error) })
  }
}

function entryFor(invite: string | null): KnownWorkspace {
  const reading = invite === null ? null : readInvite(invite)
  if (reading?.type === "invite") return joinWorkspace(reading)
  if (reading !== null) inviteTrouble.set(reading.type)
  return currentWorkspace() ?? newWorkspace("My workspace")
}

function newWorkspace(name: string): KnownWorkspace {
  const reading = readInvite(createInvite())
  if (reading.type !== "invite") throw new Error("A new invite could not be read: this is a defect of Dunlin")
  return enterWorkspace({ id: reading.workspaceId, invite: reading.invite, name })
}

function joinWorkspace({
  workspaceId: id,
  invite,
}: Extract<InviteReading, { type: "invite" }>): KnownWorkspace {
  return enterWorkspace({ id, invite, name: "Shared workspace", isAwaited: true })
}
