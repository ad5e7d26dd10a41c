import { identityOfFiles } from "#identity-of-files"
import type { DeviceKey, Identity } from "../crypto/identity.ts"
import { IdentityError, memoryIdentity } from "../crypto/identity.ts"
import { browserIdentity } from "../crypto/identity-browser.ts"
import { deriveRoomKeys, type RoomKeys } from "../crypto/key-schedule.ts"
import { findMissingCrypto, verify } from "../crypto/primitives.ts"
import { encodeInvite, type Invite } from "../crypto/invite.ts"
import { type Clock, systemClock } from "../ports/clock.ts"
import { type Random, systemRandom } from "../ports/random.ts"
import { createState } from "../ports/state.ts"
import type { Transport, TransportHost } from "../ports/transport.ts"
import { bytesToHex } from "../protocol/hex.ts"
import { createDiagnostics } from "./diagnostics.ts"
import { readInvite } from "./invite.ts"
import { createLinkTable } from "./link-table.ts"
import { createPeerList } from "./peer-list.ts"
import { createPresence } from "./presence.ts"
import { createRoomStatus } from "./room-status.ts"
import { type AuthenticatedPeer, type Diagnostic, type PeerRole, type Room, RoomError } from "./room.ts"
import { type RunningTransports, runTransports } from "./running-transports.ts"
import { createServiceWatch } from "./service-watch.ts"
import { createSyncEngine } from "./sync-engine.ts"
import type { SyncEngine } from "./sync-engine-api.ts"

/** The settings of a room: only `invite` and `transports` are required. */
export interface OpenRoomOptions {
  /** From `createInvite()`; a `#fragment` or a whole URL that ends in one will do. */
  readonly invite: string
  /**
   * Ways to reach peers, such as `[webrtc(…), tabs()]`. All of them run, but one that elects, such as `tabs()`, decides
   * when the others do. At most one elects.
   */
  readonly transports: readonly Transport[]
  /** Default: a key stored in IndexedDB in pages, and in a file of the user in Node. */
  readonly identity?: Identity | undefined
  /** Called once a peer has proved that it has the invite and its device key. False, an error or no answer within 10 s keeps it out. */
  readonly isPeerValid?: ((peer: AuthenticatedPeer) => boolean | Promise<boolean>) | undefined
  /** Decides what a peer may do here, after `isPeerValid` and within the same 10 s; false keeps it out. Default: everyone is a writer. */
  readonly authorize?: ((peer: AuthenticatedPeer) => PeerRole | false | Promise<PeerRole | false>) | undefined
  /** Receives every diagnostic from the first moment on, even before `openRoom` resolves. */
  readonly onDiagnostic?: ((diagnostic: Diagnostic) => void) | undefined
  /** Aborting it cancels the opening, or closes the room if it is open already. */
  readonly signal?: AbortSignal | undefined
  /**
   * Direct links at a time, 1 to 64 (default 12); tabs of the same browser are let in beyond that. In a larger room changes
   * travel from peer to peer.
   */
  readonly maxLinks?: number | undefined
  /** Time and randomness, for simulations. Default: those of the platform. */
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
}

const MAX_LINKS = 12

/**
 * Joins a room. Resolves as soon as this side is ready, connected or not. Rejects with `RoomError`, the signal's reason, or
 * what a transport throws as it starts.
 */
export async function openRoom(options: OpenRoomOptions): Promise<Room> {
  const { maxLinks = MAX_LINKS, signal } = options
  if (!Number.isInteger(maxLinks) || maxLinks < 1 || maxLinks > 64) {
    throw new RoomError("invalid-option", "maxLinks must be an integer between 1 and 64.")
  }
  // Some callers have no compiler that asks for them.
  if (!Array.isArray(options.transports) || options.transports.filter(elects).length > 1)
    throw new RoomError("invalid-option", "transports must be an array with at most one tabs().")
  signal?.throwIfAborted()
  const invite = readInvite(options.invite)
  // In parallel: each waits for a different part of the platform.
  const loading = Promise.all([loadDevice(options.identity ?? defaultIdentity()), deriveRoomKeys(invite)])
  // Without cryptography this rejects too, with a less helpful error than those below.
  loading.catch(() => {})
  const missing = await findMissingCrypto()
  if (missing !== null) {
    throw new RoomError(
      missing,
      missing === "insecure-context"
        ? "WebCrypto is missing: serve the page over https or from localhost."
        : "This platform lacks Ed25519 or X25519: use a current browser or Node 20.19+.",
    )
  }
  const [device, keys] = await unlessAborted(loading, signal)
  signal?.throwIfAborted()
  const clock = options.clock ?? systemClock()
  return assemble({
    ...options,
    maxLinks,
    clock,
    random: options.random ?? systemRandom(),
    invite,
    device,
    keys,
  })
}

interface Parts extends Omit<OpenRoomOptions, "invite"> {
  readonly maxLinks: number
  readonly clock: Clock
  readonly random: Random
  readonly invite: Invite
  readonly device: DeviceKey
  readonly keys: RoomKeys
}

function assemble(parts: Parts): Room {
  const { clock, random, device, keys, maxLinks } = parts
  const session = random.bytes(16)
  const sharedId = random.bytes(7)
  const deviceHex = bytesToHex(device.publicKey)
  const diagnostics = createDiagnostics(clock, () => engine.counters())
  if (parts.onDiagnostic !== undefined) diagnostics.subscribe(parts.onDiagnostic)

  const engine: SyncEngine = createSyncEngine({
    ...parts,
    sessionId: session,
    device: deviceHex,
    digestKey: keys.digestKey,
    roomTag: keys.roomTag,
    signer: {
      sign: (message) => device.sign(message),
      verify: (signedBy, message, signature) => verify(signedBy, signature, message),
    },
    events: {
      presence: (from, value, relayed) =>
        presence.receive(from, relayed ?? table.peers.get().get(from)?.device ?? null, value),
      replicaReport: (replica, report) => diagnostics.add({ type: "replica", replica, report }),
      violation: (from, code, detail) => table.violated(from, code, detail),
      reconciled: ({ session: peer, ...report }) => diagnostics.add({ type: "reconciled", peer, ...report }),
      refused: (peer, replica, reason, by) => diagnostics.add({ type: "refused", peer, replica, reason, by }),
    },
  })
  const isReader = createState(false)
  engine.links.subscribe((links) => {
    for (const { refusesEntries } of links.values()) if (refusesEntries) isReader.set(true)
  })
  const presence = createPresence((value) => engine.setPresence(value))
  const table = createLinkTable({
    ...parts,
    session,
    isPeerValid: parts.isPeerValid ?? (() => true),
    authorize: parts.authorize ?? (() => "writer"),
    addLink: (link) => engine.addLink(link),
    report: (finding) => diagnostics.add(finding),
    refused(reason, remote) {
      diagnostics.add({ type: "warning", code: reason, detail: `peer ${remote} was not linked` })
      if (reason !== "duplicate" && reason !== "local") status.refused(reason)
    },
  })
  const list = createPeerList({ clock, linked: table.peers, links: engine.links, presence: presence.others })
  const status = createRoomStatus({ clock, device: deviceHex, peers: list.peers })
  const service = createServiceWatch({ clock, peers: list.peers, replicas: engine.replicas })

  const host = (transport: Transport): TransportHost => ({
    clock,
    random,
    peerId: Uint8Array.of(...random.bytes(8), ...sharedId, ...random.bytes(1)),
    credentials: {
      topic: keys.topic,
      epoch: keys.epoch,
      signalKey: keys.signalKey,
      roomTagHex: bytesToHex(keys.roomTag.subarray(0, 16)),
      servers: parts.invite.servers,
    },
    isReader,
    reaches: !parts.transports.every(elects),
    linkLimit: maxLinks,
    connected: (pipe) => table.accept(pipe, transport),
    wantsLinks: () => table.wantsLinks(),
    report(report) {
      diagnostics.add({ type: "transport", transport: transport.name, report })
      status.transportReported(report)
    },
  })
  const releaseProcess = holdProcess()
  const start = (): RunningTransports =>
    runTransports({
      ...parts,
      host,
      isUnserved: service.isUnserved,
      stopped: (transport) => table.closeAllOf(transport),
      failed: (detail) => diagnostics.add({ type: "warning", code: "transport-failed", detail }),
      roleChanged(role) {
        status.setTab(role === undefined || role === "undecided" ? "alone" : role)
        service.look()
      },
    })

  let transports: RunningTransports | null = null
  let closed: Promise<void> | null = null
  const close = async (): Promise<void> => {
    await engine.close()
    table.close()
    await transports?.stop()
    service.close()
    parts.signal?.removeEventListener("abort", abort)
    list.close()
    status.close()
    releaseProcess()
  }
  const requireOpen = (): void => {
    if (closed !== null) throw new RoomError("closed", "The room is closed. Open it again to go on.")
  }

  const room: Room = {
    invite: encodeInvite(parts.invite),
    session: bytesToHex(session),
    device: deviceHex,
    peers: list.peers,
    status: status.status,
    presence,
    diagnostics,
    async replicate(replica) {
      try {
        requireOpen()
        return await engine.replicate(replica)
      } catch (error) {
        // A caller that hears that the room is closed may open another with the same replicas at once, even while transports still stop.
        if (closed !== null) await engine.close()
        throw error
      }
    },
    async synced(wait = {}) {
      requireOpen()
      await engine.synced(wait)
    },
    reconnect() {
      if (closed === null) transports?.reconnect()
    },
    close: () => (closed ??= close()),
    [Symbol.asyncDispose]: () => room.close(),
  }

  const abort = (): void => void room.close()
  parts.signal?.addEventListener("abort", abort)
  try {
    transports = start()
  } catch (error) {
    void room.close()
    throw error
  }
  return room
}

function elects(transport: Transport): boolean {
  return transport.elects === true
}

/** A database that another tab blocks may take long to answer. */
function unlessAborted<Loaded>(loading: Promise<Loaded>, signal: AbortSignal | undefined): Promise<Loaded> {
  if (signal === undefined) return loading
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const abort = (): void => reject(signal.reason)
    signal.addEventListener("abort", abort)
    loading.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort))
  })
}

async function loadDevice(identity: Identity): Promise<DeviceKey> {
  try {
    return checkedKey(await identity.load())
  } catch (cause) {
    const why = cause instanceof IdentityError ? cause.message : "The identity failed to load."
    throw new RoomError("identity-unavailable", why, { cause })
  }
}

/** An application may supply any identity, and peers treat a key or signature of the wrong length as an attack. */
function checkedKey(device: DeviceKey): DeviceKey {
  const checked = (name: string, bytes: Uint8Array, length: number): Uint8Array => {
    if (bytes.length === length) return bytes
    throw new IdentityError("damaged-key", `The identity's ${name} has ${bytes.length} bytes, not ${length}.`)
  }
  return {
    publicKey: checked("public key", device.publicKey, 32),
    sign: async (message) => checked("signature", await device.sign(message), 64),
  }
}

function defaultIdentity(): Identity {
  if (typeof indexedDB !== "undefined") return browserIdentity()
  return identityOfFiles() ?? memoryIdentity()
}

/** The timers of a searching room do not keep a process alive, but one with an open room should not end for lack of work. */
function holdProcess(): () => void {
  const timer = setInterval(() => {}, 0x7fff_ffff)
  return () => clearInterval(timer)
}
