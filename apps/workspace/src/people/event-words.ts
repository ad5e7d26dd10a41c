import type { ConnectionStage, Diagnostic, TransportReport } from "@dunlin/core"
import { cleanName } from "../device/profile.ts"

/** The name of the person behind a session, if known. */
type NameOf = (session: string) => string | undefined

const STAGES = {
  signaling: "finding each other",
  ice: "finding a way through the network",
  dtls: "securing the connection",
  handshake: "checking the invite",
  reconcile: "comparing what both have",
  live: "sending changes as they come",
} as const satisfies Readonly<Record<ConnectionStage, string>>

const OUTCOMES = { started: "begun", passed: "done", failed: "failed" } as const

const PATHS: Readonly<Record<string, string>> = {
  tab: "as a tab of this browser",
  direct: "directly",
  relayed: "through a relay",
}

const SERVER = {
  connecting: "is being asked",
  joined: "answers",
  unreachable: "cannot be reached",
  refused: "refuses",
  draining: "is about to stop",
} as const

/** What the room noticed. Reasons and codes stay as they are, because those who help will ask for them. */
export function eventWords(event: Diagnostic, nameOf: NameOf): string {
  switch (event.type) {
    case "transport":
      return transportWords(event.transport, event.report, nameOf)
    case "replica":
      return `${event.replica}: ${event.report.reason}`
    case "stage":
      return `${who(event.peer, nameOf)}: ${STAGES[event.stage]}, ${OUTCOMES[event.outcome]}${after(event.elapsedMs)}${detail(event)}`
    case "link-opened":
      return `${who(event.peer, nameOf)}: connected${event.path in PATHS ? ` ${PATHS[event.path]}` : ""}`
    case "link-closed":
      return `${who(event.peer, nameOf)}: disconnected (${event.reason})`
    case "violation":
      return `${who(event.peer, nameOf)}: sent something wrong and was cut off (${event.code})`
    case "reconciled":
      return `${who(event.peer, nameOf)}: ${event.replica} compared, ${event.sent} sent and ${event.received} received${after(event.elapsedMs)}`
    case "refused":
      return `${who(event.peer, nameOf)}: a change of ${event.replica} was not taken by ${event.by === "us" ? "this device" : "them"}: ${event.reason}`
    case "warning":
      return `${event.code}: ${event.detail}`
  }
}

function transportWords(transport: string, report: TransportReport, nameOf: NameOf): string {
  switch (report.type) {
    case "signaling":
      return `The server that lets devices find each other ${SERVER[report.state]}${detail(report)}`
    case "stage":
      return `${who(report.remote, nameOf)}: ${STAGES[report.stage]}, ${OUTCOMES[report.outcome]}${detail(report)}`
    case "room-full":
      return `A device has no connection left: ${report.count} of ${report.limit} are in use`
    case "alone":
      return "No other device is left"
    case "warning":
      return `${transport}: ${report.detail}`
  }
}

/** Without a name, the start of the id, so that lines about different devices can be told apart. */
function who(session: string, nameOf: NameOf): string {
  return nameOf(session) ?? `Device ${cleanName(session).slice(0, 6)}`
}

function after(elapsedMs: number): string {
  return elapsedMs < 1 ? "" : ` after ${Math.round(elapsedMs)} ms`
}

function detail({ detail: text }: { readonly detail?: string }): string {
  return text === undefined || text === "" ? "" : ` (${text})`
}
