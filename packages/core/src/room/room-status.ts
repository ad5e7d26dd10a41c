import type { Clock } from "../ports/clock.ts"
import { createState, type State } from "../ports/state.ts"
import type { TransportReport } from "../ports/transport.ts"
import type { Peer, RoomProblem, RoomStatus } from "./room.ts"

export interface RoomStatusOptions {
  readonly clock: Clock
  /** Public key of this device, 64 hex digits. */
  readonly device: string
  readonly peers: State<readonly Peer[]>
}

export interface RoomStatusKeeper {
  readonly status: State<RoomStatus>
  transportReported(report: TransportReport): void
  /** One side of a link turned the other away, or a peer could not prove itself. */
  refused(reason: string): void
  setTab(tab: RoomStatus["tab"]): void
  close(): void
}

/** That nobody else is here is reported only once others have had time to answer. */
const LONELY_AFTER_MS = 3_000
const REFUSED_BY_PEER = "a peer closed the link at once: it does not let this device in, or has no free link"

/** Keeps the room's status, and says in one line what stands in the way, if anything does. */
export function createRoomStatus({ clock, device, peers }: RoomStatusOptions): RoomStatusKeeper {
  const servers = new Map<string, Extract<TransportReport, { type: "signaling" }>>()
  let trouble: RoomProblem | null = null
  let tab: RoomStatus["tab"] = "alone"
  let isLonely = false
  let isClosed = false
  const status = createState<RoomStatus>(describe())
  const cancelLonely = clock.after(LONELY_AFTER_MS, () => {
    isLonely = true
    refresh()
  })

  function describe(): RoomStatus {
    const list = peers.get()
    const pendingOut = list.map((peer) => peer.pendingOut)
    return {
      phase: isClosed ? "closed" : list.length > 0 ? "connected" : "searching",
      peers: list.length,
      pendingOut: pendingOut.length === 0 ? 0 : Math.min(...pendingOut),
      pendingIn: Math.max(0, ...list.map((peer) => peer.pendingIn)),
      syncedPeers: list.filter(isSynced).length,
      problem: isClosed ? null : findProblem(list),
      tab,
    }
  }

  function findProblem(list: readonly Peer[]): RoomProblem | null {
    const incompatible = describeIncompatible(list)
    if (incompatible !== null) return incompatible
    // Another tab of this browser is no proof that anybody else can be reached.
    if (list.some((peer) => peer.device !== device)) return null
    const offline = describeOffline([...servers.values()])
    if (offline !== null) return offline
    if (trouble !== null) return trouble
    const isJoined = [...servers.values()].some(({ state }) => state === "joined")
    if (!isJoined || !isLonely) return null
    return { code: "no-peers", message: "nobody else is in the room" }
  }

  function refresh(): void {
    const next = describe()
    if (JSON.stringify(next) !== JSON.stringify(status.get())) status.set(next)
  }
  const unsubscribe = peers.subscribe((list) => {
    if (list.length > 0) trouble = null
    refresh()
  })

  return {
    status,
    transportReported(report) {
      if (report.type === "signaling") servers.set(report.server, report)
      if (report.type === "alone") trouble = null
      if (report.type === "room-full") {
        const message = `the room is full: ${report.count} of ${report.limit} links are in use`
        trouble = { code: "room-full", message }
      }
      if (report.type === "stage" && report.outcome === "failed") {
        const message = `${report.stage} failed: ${report.detail ?? "no reason given"}`
        trouble = { code: "connection-failed", message }
      }
      refresh()
    },
    refused(reason) {
      trouble =
        reason === "room-full"
          ? { code: "room-full", message: "this device has no free link (maxLinks)" }
          : {
              code: "refused",
              // "remote" if the peer closed the link before it had proved who it is.
              message: /remote|by-peer/.test(reason) ? REFUSED_BY_PEER : `a peer was not let in: ${reason}`,
            }
      refresh()
    },
    setTab(next) {
      tab = next
      refresh()
    },
    close() {
      isClosed = true
      cancelLonely()
      unsubscribe()
      refresh()
    },
  }
}

function isSynced({ replicas, pendingIn, pendingOut, refused }: Peer): boolean {
  const phases = [...replicas.values()].map(({ phase }) => phase)
  const open = pendingIn + pendingOut + refused
  return open === 0 && phases.length > 0 && phases.every((phase) => phase === "live")
}

function describeIncompatible(list: readonly Peer[]): RoomProblem | null {
  for (const { replicas } of list) {
    for (const [name, { phase, reason }] of replicas) {
      if (phase !== "incompatible") continue
      return {
        code: "incompatible",
        message: `"${name}" cannot be synchronised: ${reason ?? "it differs"}`,
      }
    }
  }
  return null
}

function describeOffline(
  servers: readonly Extract<TransportReport, { type: "signaling" }>[],
): RoomProblem | null {
  const [worst] = servers
  const isFine = servers.some(({ state }) => state !== "unreachable" && state !== "refused")
  if (isFine || worst === undefined) return null
  const { state, server, detail = "no connection", retryInMs } = worst
  const again = retryInMs === undefined ? "" : `; retrying in ${Math.ceil(retryInMs / 1000)} s`
  const verb = state === "refused" ? "refused" : "no signaling server"
  return {
    code: state === "refused" ? "refused" : "no-signaling",
    message: `${verb}: ${server}: ${detail}${again}`,
  }
}
