import { compareBytes } from "../protocol/byte-order.ts"
import { bytesToHex } from "../protocol/hex.ts"
import { sameBytes } from "../protocol/same-bytes.ts"
import type { ProvenPeer } from "../crypto/handshake.ts"
import type { DeviceKey } from "../crypto/identity.ts"
import type { RoomKeys } from "../crypto/key-schedule.ts"
import type { Clock } from "../ports/clock.ts"
import type { Random } from "../ports/random.ts"
import { createState, type State } from "../ports/state.ts"
import type { PathKind, Pipe, Transport } from "../ports/transport.ts"
import type { Finding } from "./diagnostics.ts"
import type { AuthenticatedPeer, PeerRole } from "./room.ts"
import { createSecureChannel, type SecureChannel, type SecureCloseReason } from "./secure-channel.ts"
import type { LinkInput, SecureLink } from "./sync-engine-api.ts"

/** An authenticated peer that this room has let in. */
export interface LinkedPeer {
  readonly session: string
  readonly device: string
  readonly role: PeerRole
  readonly path: PathKind
}

/** Why a pipe came to nothing, beside what `SecureCloseReason` names. */
export type RefusalReason =
  | "refused-by-isPeerValid"
  | "refused-by-authorize"
  | "authorization-timeout"
  | "authorization-failed" // the application's function threw
  | "penalised"
  | "room-full"
  | "duplicate" // another connection to the same session is kept
  | "handshake-queue-full"
  | "refused-by-peer" // it closed the link before it said anything

export interface LinkTableOptions {
  readonly keys: RoomKeys
  readonly session: Uint8Array
  readonly device: DeviceKey
  readonly clock: Clock
  readonly random: Random
  readonly maxLinks: number
  isPeerValid(peer: AuthenticatedPeer): boolean | Promise<boolean>
  authorize(peer: AuthenticatedPeer): PeerRole | false | Promise<PeerRole | false>
  addLink(link: SecureLink): LinkInput
  report(finding: Finding): void
  refused(reason: RefusalReason | SecureCloseReason, remote: string): void
}

export interface LinkTable {
  readonly peers: State<ReadonlyMap<string, LinkedPeer>>
  accept(pipe: Pipe, via: Transport): void
  closeAllOf(via: Transport): void
  wantsLinks(): boolean
  /** A peer acted against the protocol: its link ends, and it is barred for a while. */
  violated(session: string, code: string, detail: string): void
  close(): void
}

interface Link {
  readonly peer: ProvenPeer
  readonly channel: SecureChannel
  readonly openedAt: number
  readonly input: LinkInput
  readonly role: PeerRole
  readonly via: Transport
  /** Nothing came yet. */
  isSilent: boolean
}

const MAX_HANDSHAKES = 8
const MAX_WAITING_PIPES = 32
const AUTHORIZATION_TIMEOUT_MS = 10_000
const PENALTY_MS = 60_000
const MAX_PENALTIES = 1024
/**
 * Two connections younger than this are a coincidence that both sides see; an older one that gets a rival was given
 * up by the other side.
 */
const COINCIDENCE_MS = 5_000
/** Tabs of one browser have no better path than their own; all others are equal. */
const preference: Readonly<Partial<Record<PathKind, number>>> = { tab: 1 }

export function createLinkTable(options: LinkTableOptions): LinkTable {
  const { clock, report } = options
  const linksBySession = new Map<string, Link>()
  const barredUntil = new Map<string, number>()
  const peers = createState<ReadonlyMap<string, LinkedPeer>>(new Map())
  const waiting: { readonly pipe: Pipe; readonly via: Transport }[] = []
  const handshakes = new Set<SecureChannel>()
  let isClosed = false

  function accept(pipe: Pipe, via: Transport): void {
    if (isClosed) return pipe.close()
    if (handshakes.size < MAX_HANDSHAKES) return greet(pipe, via)
    if (waiting.length < MAX_WAITING_PIPES) return void waiting.push({ pipe, via })
    options.refused("handshake-queue-full", pipe.remote)
    pipe.close()
  }

  function greet(pipe: Pipe, via: Transport): void {
    const startedAt = clock.monotonic()
    const stage = (outcome: "started" | "passed" | "failed", detail?: string): void =>
      report({
        type: "stage",
        peer: pipe.remote,
        stage: "handshake",
        outcome,
        elapsedMs: Math.round(clock.monotonic() - startedAt),
        ...(detail !== undefined && { detail }),
      })
    let session: string | null = null
    let isGreeting = false
    stage("started")
    /** A pipe that died while it waited says so before `createSecureChannel` returns. */
    let isOver = false
    const channel: SecureChannel = createSecureChannel({
      ...options,
      pipe,
      events: {
        proven(peer) {
          stage("passed")
          session = bytesToHex(peer.session)
          void admit(peer, channel, pipe.remote, via)
            .catch((error: unknown) => {
              report({ type: "warning", code: "internal-error", detail: String(error) })
              channel.close()
            })
            .finally(() => finished(channel))
        },
        closed(reason, cause) {
          isOver = true
          if (isGreeting) finished(channel)
          if (session === null) {
            stage("failed", explain(reason, cause))
            options.refused(reason, pipe.remote)
          } else {
            drop(session, channel, reason)
          }
        },
        pathChanged: () => publish(),
      },
    })
    isGreeting = true
    if (isOver) next()
    else if (!isClosed) handshakes.add(channel)
  }

  function finished(channel: SecureChannel): void {
    handshakes.delete(channel)
    next()
  }

  function next(): void {
    if (handshakes.size >= MAX_HANDSHAKES) return
    const first = waiting.shift()
    if (first !== undefined) accept(first.pipe, first.via)
  }

  async function admit(
    peer: ProvenPeer,
    channel: SecureChannel,
    remote: string,
    via: Transport,
  ): Promise<void> {
    const session = bytesToHex(peer.session)
    const role = await judge({ session, device: bytesToHex(peer.device), path: channel.path() })
    if (channel.isClosed()) return
    if (role !== "writer" && role !== "reader") return refuse(role, channel, remote)
    const obstacle = findObstacle(session, peer, channel)
    if (obstacle !== null) return refuse(obstacle, channel, remote)
    install(session, peer, channel, role, via)
  }

  function refuse(reason: RefusalReason, channel: SecureChannel, remote: string): void {
    options.refused(reason, remote)
    channel.close()
  }

  /** Asks the application; whatever it does, there is an answer in bounded time. */
  async function judge(peer: AuthenticatedPeer): Promise<PeerRole | RefusalReason> {
    if (isBarred(peer.session)) return "penalised"
    let cancel = (): void => {}
    const late = new Promise<RefusalReason>((resolve) => {
      cancel = clock.after(AUTHORIZATION_TIMEOUT_MS, () => resolve("authorization-timeout"))
    })
    const ask = async (): Promise<PeerRole | RefusalReason> => {
      if (!(await options.isPeerValid(peer))) return "refused-by-isPeerValid"
      const role = await options.authorize(peer)
      return role === false ? "refused-by-authorize" : role
    }
    try {
      return await Promise.race([ask(), late])
    } catch (error) {
      report({ type: "warning", code: "authorization-failed", detail: String(error) })
      return "authorization-failed"
    } finally {
      cancel()
    }
  }

  function findObstacle(session: string, peer: ProvenPeer, channel: SecureChannel): RefusalReason | null {
    const present = linksBySession.get(session)
    // A session id is only claimed, a device key is proven: nobody takes over the session of another device.
    if (present !== undefined && !sameBytes(present.peer.device, peer.device)) return "duplicate"
    if (present !== undefined) return isBetter(peer, channel, present) ? null : "duplicate"
    // A tab has no way out but this one.
    return channel.path() === "tab" || linksBySession.size < options.maxLinks ? null : "room-full"
  }

  /** Both sides decide alike: by what both know of the two connections. */
  function isBetter(peer: ProvenPeer, channel: SecureChannel, present: Link): boolean {
    const byPath = (preference[channel.path()] ?? 0) - (preference[present.channel.path()] ?? 0)
    if (byPath !== 0) return byPath > 0
    if (clock.monotonic() - present.openedAt > COINCIDENCE_MS) return true
    return compareBytes(peer.transcript, present.peer.transcript) < 0
  }

  function install(
    session: string,
    peer: ProvenPeer,
    channel: SecureChannel,
    role: PeerRole,
    via: Transport,
  ): void {
    if (isClosed) return channel.close()
    const former = linksBySession.get(session)
    if (former !== undefined) {
      linksBySession.delete(session)
      guard(session, () => former.input.closed("replaced"))
      former.channel.close()
    }
    const device = bytesToHex(peer.device)
    const path = channel.path()
    let link: Link | null = null
    const input = options.addLink({
      session,
      device,
      role,
      maxMessageBytes: channel.maxMessageBytes,
      send: (lane, message) => channel.send(lane, message),
      buffered: (lane) => channel.buffered(lane),
      close(reason, { penalise = false } = {}) {
        if (penalise) bar(session)
        if (link !== null && linksBySession.get(session) === link) remove(session, link, reason)
        channel.close()
      },
    })
    const opened: Link = { peer, channel, input, role, via, openedAt: clock.monotonic(), isSilent: true }
    link = opened
    linksBySession.set(session, link)
    report({ type: "link-opened", peer: session, device, path })
    publish()
    channel.start({
      message(lane, bytes) {
        opened.isSilent = false
        guard(session, () => input.message(lane, bytes))
      },
      drained: (lane) => guard(session, () => input.drained(lane)),
      doubted: () => guard(session, () => input.doubted?.()),
    })
  }
  function drop(session: string, channel: SecureChannel, reason: string): void {
    const link = linksBySession.get(session)
    if (link?.channel !== channel) return
    remove(session, link, reason)
    // Each side decides for itself whom it lets in, and says nothing to whom it does not. Of two connections it keeps the other.
    if (link.isSilent && reason === "remote" && handshakes.size === 0)
      options.refused("refused-by-peer", session)
  }

  function remove(session: string, link: Link, reason: string): void {
    linksBySession.delete(session)
    guard(session, () => link.input.closed(reason))
    report({ type: "link-closed", peer: session, reason })
    publish()
    link.channel.close()
  }

  /** An error here is ours, not the peer's; it must not tear down the transport that called us. */
  function guard(session: string, call: () => void): void {
    try {
      call()
    } catch (error) {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
      report({ type: "warning", code: "internal-error", detail })
      linksBySession.get(session)?.channel.close()
    }
  }

  function bar(session: string): void {
    const now = clock.monotonic()
    for (const [barred, until] of barredUntil) if (until <= now) barredUntil.delete(barred)
    if (barredUntil.size < MAX_PENALTIES) barredUntil.set(session, now + PENALTY_MS)
  }

  const isBarred = (session: string): boolean => (barredUntil.get(session) ?? -Infinity) > clock.monotonic()

  function publish(): void {
    const next = new Map<string, LinkedPeer>()
    for (const [session, { peer, channel, role }] of linksBySession) {
      next.set(session, { session, device: bytesToHex(peer.device), role, path: channel.path() })
    }
    peers.set(next)
  }

  return {
    peers,
    accept,
    closeAllOf(via) {
      for (const [session, link] of [...linksBySession]) {
        if (link.via !== via) continue
        remove(session, link, "another tab has the connections now")
      }
    },
    wantsLinks: () => !isClosed && linksBySession.size < options.maxLinks,
    violated(session, code, detail) {
      report({ type: "violation", peer: session, code, detail })
      const link = linksBySession.get(session)
      if (link === undefined) return
      bar(session)
      remove(session, link, `a violation of the protocol: ${code}`)
    },
    close() {
      isClosed = true
      for (const { pipe } of waiting.splice(0)) pipe.close()
      for (const channel of [...handshakes]) channel.close()
      for (const [session, link] of linksBySession) remove(session, link, "the room was closed")
    },
  }
}

function explain(reason: SecureCloseReason, cause: unknown): string {
  switch (reason) {
    case "handshake-wrong-key":
      return "the other side is not a member of this room, or somebody sits between"
    case "handshake-bad-signature":
      return "the other side shows a device key that is not its own"
    case "handshake-timeout":
      return "no answer to the handshake within 10 s"
    case "handshake-own-session":
      return "the other side is this session itself, or a copy of it"
    case "handshake-own-key":
      return `the key of this device did not sign: ${String(cause)}`
    default:
      return reason
  }
}
