import { bytesToHex } from "../protocol/hex.ts"
import type { ProvenPeer } from "../crypto/handshake.ts"
import type { DeviceKey } from "../crypto/identity.ts"
import type { RoomKeys } from "../crypto/key-schedule.ts"
import type { Clock } from "../ports/clock.ts"
import type { Random } from "../ports/random.ts"
import { createState, type State } from "../ports/state.ts"
import type { PathKind, Pipe, Transport } from "../ports/transport.ts"
import { within } from "../ports/within.ts"
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

/** Why a pipe did not become a link, besides the reasons that `SecureCloseReason` names. */
export type RefusalReason =
  | "refused-by-isPeerValid"
  | "refused-by-authorize"
  | "authorization-timeout"
  | "authorization-failed" // the application's function threw
  | "penalised"
  | "room-full"
  | "duplicate" // of a link to another device, or one more than are kept in reserve
  | "handshake-queue-full"
  | "refused-by-peer" // the peer closed the link without saying anything

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
  /** A peer broke the protocol: its link ends, and its session is barred for a while. */
  violated(session: string, code: string, detail: string): void
  close(): void
}

/** A connection to a peer that was let in. */
interface Entrant {
  readonly session: string
  readonly device: string
  readonly channel: SecureChannel
  readonly role: PeerRole
  readonly via: Transport
  /** When it was let in. What has been in reserve since then may have died unnoticed. */
  readonly enteredAt: number
}

interface Link extends Entrant {
  readonly input: LinkInput
  /** Nothing has arrived yet. */
  isSilent: boolean
}

const MAX_HANDSHAKES = 8
const MAX_WAITING_PIPES = 32
const AUTHORIZATION_TIMEOUT_MS = 10_000
const PENALTY_MS = 60_000
const MAX_PENALTIES = 1024
/** Further connections to sessions that have a link. They are kept, because their transports would only make them again. */
const MAX_SPARES = 16
/** Several transports may find the same peer within this, while nothing has happened to the first connection. */
const COINCIDENCE_MS = 5_000
/**
 * By then something must have arrived on a connection that came out of reserve. The other side may have to find out first
 * that the link is dead.
 */
const RESERVE_LIMIT_MS = 5_000

export function createLinkTable(options: LinkTableOptions): LinkTable {
  const { clock, report } = options
  const linksBySession = new Map<string, Link>()
  const barredUntil = new Map<string, number>()
  const peers = createState<ReadonlyMap<string, LinkedPeer>>(new Map())
  const waiting: { readonly pipe: Pipe; readonly via: Transport }[] = []
  const handshakes = new Set<Pipe>()
  const spares = new Map<SecureChannel, Entrant>()
  const ownSession = bytesToHex(options.session)
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
    handshakes.add(pipe)
    stage("started")
    const channel: SecureChannel = createSecureChannel({
      ...options,
      pipe,
      events: {
        proven(peer) {
          stage("passed")
          session = bytesToHex(peer.session)
          void admit(peer, channel, pipe.remote, via)
            .catch((error: unknown) => failed(error, channel))
            .finally(() => finished(pipe))
        },
        closed(reason, cause) {
          // Of a pipe that died while it waited this comes before `createSecureChannel` returns.
          finished(pipe)
          if (session === null) {
            stage("failed", explain(reason, cause))
            options.refused(reason, pipe.remote)
          } else {
            drop(session, channel, reason)
          }
        },
        held() {
          const spare = spares.get(channel)
          if (spare !== undefined) spoken(spare)
        },
        pathChanged: () => publish(),
      },
    })
  }

  function finished(pipe: Pipe): void {
    handshakes.delete(pipe)
    const first = handshakes.size < MAX_HANDSHAKES && waiting.shift()
    if (first) accept(first.pipe, first.via)
  }

  async function admit(
    peer: ProvenPeer,
    channel: SecureChannel,
    remote: string,
    via: Transport,
  ): Promise<void> {
    const session = bytesToHex(peer.session)
    const device = bytesToHex(peer.device)
    const role = await judge({ session, device, path: channel.path() })
    if (isClosed || channel.isClosed()) return
    if (role !== "writer" && role !== "reader") return refuse(role, channel, remote)
    const entrant: Entrant = { session, device, channel, role, via, enteredAt: clock.monotonic() }
    const present = linksBySession.get(session)
    const isTab = channel.path() === "tab"
    if (present === undefined) {
      // A tab has no other way into the room.
      if (isTab || wantsLinks()) return install(entrant)
      return refuse("room-full", channel, remote)
    }
    // A session id is only claimed, a device key is proven: nobody takes over the session of another device.
    const isSame = present.device === device
    // If that one has died meanwhile, this one is wanted now, or the next.
    if (isSame) doubt(present)
    if (!isSame || spares.size >= MAX_SPARES) return refuse("duplicate", channel, remote)
    if (ownSession < session && isTab && present.channel.path() !== "tab") return install(entrant)
    spares.set(channel, entrant)
    if (channel.holds()) spoken(entrant)
  }

  /** The other side speaks over a connection that is in reserve here. */
  function spoken(spare: Entrant): void {
    const present = linksBySession.get(spare.session)
    if (present === undefined) return
    // The other side has lost the link, or began with this connection.
    if (ownSession < spare.session) doubt(present)
    // The two sides may have begun with different connections, and the other one decides. But where the link is a path
    // between tabs, what comes over another connection was sent before the other side moved to that path.
    else if (spare.channel.path() === "tab" || present.channel.path() !== "tab") install(spare)
  }

  /** Later, because asking can end the link. */
  function doubt({ input, enteredAt }: Link): void {
    if (clock.monotonic() - enteredAt > COINCIDENCE_MS) clock.after(0, () => input.doubted?.())
  }

  function refuse(reason: RefusalReason, channel: SecureChannel, remote: string): void {
    options.refused(reason, remote)
    channel.close()
  }

  /** Asks the application; whatever that does, there is an answer in bounded time. */
  async function judge(peer: AuthenticatedPeer): Promise<PeerRole | RefusalReason> {
    if ((barredUntil.get(peer.session) ?? -Infinity) > clock.monotonic()) return "penalised"
    const ask = async (): Promise<PeerRole | RefusalReason> => {
      if (!(await options.isPeerValid(peer))) return "refused-by-isPeerValid"
      const role = await options.authorize(peer)
      return role === false ? "refused-by-authorize" : role
    }
    try {
      return await within(clock, AUTHORIZATION_TIMEOUT_MS, ask(), "authorization-timeout")
    } catch (error) {
      report({ type: "warning", code: "authorization-failed", detail: String(error) })
      return "authorization-failed"
    }
  }

  /** In place of the link that its session may have. */
  function install(entrant: Entrant): void {
    const { session, device, channel, role } = entrant
    spares.delete(channel)
    const former = linksBySession.get(session)
    if (former !== undefined) {
      linksBySession.delete(session)
      guard(session, () => former.input.closed("replaced"))
      former.channel.close()
    }
    const input = options.addLink({
      session,
      device,
      role,
      maxMessageBytes: channel.maxMessageBytes,
      send: (lane, message) => channel.send(lane, message),
      buffered: (lane) => channel.buffered(lane),
      close(reason) {
        // One of the two sides wants no link; only silence says nothing of other connections.
        if (reason !== "silent") dismissSpares(session)
        const link = linksBySession.get(session)
        if (link?.channel === channel) remove(link, reason)
        channel.close()
      },
    })
    const link: Link = { ...entrant, input, isSilent: true }
    linksBySession.set(session, link)
    report({ type: "link-opened", peer: session, device, path: channel.path() })
    publish()
    channel.start({
      message(lane, bytes) {
        link.isSilent = false
        guard(session, () => input.message(lane, bytes))
      },
      drained: (lane) => guard(session, () => input.drained(lane)),
      doubted: () => guard(session, () => input.doubted?.()),
    })
  }

  function drop(session: string, channel: SecureChannel, reason: string): void {
    spares.delete(channel)
    const link = linksBySession.get(session)
    if (link?.channel !== channel) return
    remove(link, reason)
    // Each side decides for itself whom it lets in, and closes the link to anyone else without a word. But while a
    // handshake is under way here, the peer may only be keeping another connection.
    if (link.isSilent && reason === "remote" && handshakes.size === 0 && !linksBySession.has(session))
      options.refused("refused-by-peer", session)
  }

  function remove(link: Link, reason: string): void {
    const { session } = link
    linksBySession.delete(session)
    guard(session, () => link.input.closed(reason))
    report({ type: "link-closed", peer: session, reason })
    link.channel.close()
    const spare = [...spares.values()].find((each) => each.session === session)
    if (spare === undefined) return publish()
    install(spare)
    clock.after(RESERVE_LIMIT_MS, () => {
      const now = linksBySession.get(session)
      if (now?.channel !== spare.channel || !now.isSilent) return
      // The peer is gone. If only the path is, the transports find it again sooner than each reserve could be tried.
      dismissSpares(session)
      remove(now, "silent")
    })
  }

  function dismissSpares(of: string | Transport): void {
    for (const { channel, session, via } of [...spares.values()])
      if (session === of || via === of) channel.close()
  }

  /** An error here is ours, not the peer's; it must not tear down the transport that called us. */
  function guard(session: string, call: () => void): void {
    try {
      call()
    } catch (error) {
      failed(error, linksBySession.get(session)?.channel)
    }
  }

  function failed(error: unknown, channel?: SecureChannel): void {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
    report({ type: "warning", code: "internal-error", detail })
    channel?.close()
  }

  const wantsLinks = (): boolean => !isClosed && linksBySession.size < options.maxLinks

  function publish(): void {
    const next = new Map<string, LinkedPeer>()
    for (const { session, device, channel, role } of linksBySession.values()) {
      next.set(session, { session, device, role, path: channel.path() })
    }
    peers.set(next)
  }

  return {
    peers,
    accept,
    closeAllOf(via) {
      dismissSpares(via)
      for (const link of [...linksBySession.values()])
        if (link.via === via) remove(link, "another tab now has the connections")
    },
    wantsLinks,
    violated(session, code, detail) {
      report({ type: "violation", peer: session, code, detail })
      const link = linksBySession.get(session)
      if (link === undefined) return
      const now = clock.monotonic()
      for (const [barred, until] of barredUntil) if (until <= now) barredUntil.delete(barred)
      if (barredUntil.size < MAX_PENALTIES) barredUntil.set(session, now + PENALTY_MS)
      dismissSpares(session)
      remove(link, `protocol violation: ${code}`)
    },
    close() {
      isClosed = true
      for (const { pipe } of waiting.splice(0)) pipe.close()
      for (const each of [...handshakes, ...spares.keys()]) each.close()
      for (const link of linksBySession.values()) remove(link, "the room was closed")
    },
  }
}

function explain(reason: SecureCloseReason, cause: unknown): string {
  switch (reason) {
    case "handshake-wrong-key":
      return "the other side is not a member of this room, or somebody intercepts the connection"
    case "handshake-bad-signature":
      return "the other side presents a device key that is not its own"
    case "handshake-timeout":
      return "no answer to the handshake within 10 s"
    case "handshake-own-key":
      return `this device's key failed to sign: ${String(cause)}`
    default:
      return reason
  }
}
