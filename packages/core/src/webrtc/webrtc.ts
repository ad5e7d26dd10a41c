import { createEnvelopeOpener, type Envelope, sealEnvelope } from "../crypto/envelope.ts"
import { problemOfServer } from "../crypto/invite.ts"
import {
  type RunningTransport,
  type Transport,
  TransportError,
  type TransportHost,
} from "../ports/transport.ts"
import type { IceConfiguration } from "../signaling/index.ts"
import { bytesToHex, hexToBytes } from "../protocol/hex.ts"
import { leafId } from "../protocol/mesh-plan.ts"
import { createBackOff } from "./back-off.ts"
import { createDialer } from "./dialer.ts"
import { findRtcPlatform, type RtcPlatform, type WebRtcImplementation } from "./rtc-platform.ts"
import { createSignalingClient, type SignalingClient } from "./signaling-client.ts"
import { findWebSocket, type WebSocketConstructor } from "./web-socket.ts"

/** All optional in a page whose invites name their signaling servers. */
export interface WebRtcOptions {
  /** One or several signaling servers, ws: or wss:. Default: those that the invite names. */
  readonly signaling?: string | readonly string[] | undefined
  /** In Node: `import * as wrtc from "node-datachannel/polyfill"`. */
  readonly wrtc?: WebRtcImplementation | undefined
  /** Default: the platform's; in a Node without one, the package `ws`, if it is installed. */
  readonly webSocket?: WebSocketConstructor | undefined
  /** STUN and TURN. Default: what the signaling server hands out. */
  readonly iceServers?: readonly RTCIceServer[] | undefined
  /** "relay" hides this device's addresses from peers: everything goes through TURN. */
  readonly privacy?: "relay" | undefined
  /** Token for the signaling server's authentication; a function is called again before the token expires. */
  readonly token?: string | (() => string | Promise<string>) | undefined
  /**
   * For how long, at most, one side holds back its ICE candidates until the other's have led somewhere. Without it, two
   * node-datachannel peers sometimes need a second to connect, or hang for good on a relay; with it, they need 50 ms more.
   * Default: 300 with node-datachannel, else 0.
   */
  readonly holdMs?: number | undefined
}

const HOLD_MS = 300
/** Somebody who claims every fresh peer id must not make this side spin. */
const RENAME = { firstMs: 500, longestMs: 60_000 }
/** An application, or a network that flaps, may ask more often: the server and the peers would count it as a flood. */
const RECONNECT_EVERY_MS = 1_000
/** Signals from one server that wait to be opened; a flood beyond that is dropped before any cryptography. */
const MAX_WAITING_SIGNALS = 256
/** Peers that one server is believed to have, twice as many as the protocol allows: it could name others without end. */
const MAX_PRESENT = 512

/** Peers find each other through signaling servers and connect directly. Throws `TransportError`. */
export function webrtc(options: WebRtcOptions = {}): Transport {
  const given = typeof options.signaling === "string" ? [options.signaling] : (options.signaling ?? [])
  for (const url of given) {
    const problem = problemOfServer(url)
    if (problem !== null) throw new TransportError("bad-url", problem)
  }
  const { holdMs } = options
  if (holdMs !== undefined && !(holdMs >= 0 && holdMs <= 1000)) {
    throw new TransportError("invalid-option", "holdMs must be between 0 and 1000.")
  }
  const platform = findRtcPlatform(options.wrtc)
  const webSocket = findWebSocket(options.webSocket)

  return {
    name: "webrtc",
    start(host) {
      const servers = given.length > 0 ? given : host.credentials.servers
      if (servers.length === 0) {
        host.report({
          type: "warning",
          code: "no-signaling-server",
          detail: "Neither webrtc({ signaling }) nor the invite names a signaling server.",
        })
      }
      return run(host, { ...options, servers, platform, webSocket })
    },
  }
}

interface RunOptions extends Omit<WebRtcOptions, "webSocket"> {
  readonly servers: readonly string[]
  readonly platform: RtcPlatform
  readonly webSocket: WebSocketConstructor
}

/** Runs under the host's peer id, and under a fresh one once a server says that it is taken, or it no longer says our role. */
function run(host: TransportHost, options: RunOptions): RunningTransport {
  const { clock, random } = host
  const backOff = createBackOff(random, RENAME)
  let stopping: Promise<unknown> = Promise.resolve()
  let cancelRename: (() => void) | null = null
  let isStopped = false

  const start = (id: Uint8Array): RunningTransport & { suspend(): void } =>
    runAs({ ...host, peerId: leafId(id, host.isReader.get()) }, options, () => {
      if (!isStopped) cancelRename ??= clock.after(backOff.next(), rename)
    })
  const rename = (): void => {
    cancelRename = null
    // Open connections stay: they belong to the room, and the peers' link tables know them by session. A reader's
    // connections are closed, because they are where a reader's should not be.
    if (host.isReader.get()) current.suspend()
    stopping = Promise.all([stopping, current.stop()])
    current = start(Uint8Array.of(...random.bytes(8), ...host.peerId.subarray(8)))
  }
  let current = start(host.peerId)

  return {
    reconnect: () => current.reconnect(),
    async stop() {
      isStopped = true
      cancelRename?.()
      await Promise.all([stopping, current.stop()])
    },
  }
}

function runAs(
  host: TransportHost,
  options: RunOptions,
  rename: () => void,
): RunningTransport & { suspend(): void } {
  const { credentials, clock, random } = host
  const context = { ...credentials, self: host.peerId }
  const opener = createEnvelopeOpener(context)
  /** Which peers each server lists: a signal goes through a server where its receiver is present, if there is one. */
  const presence = new Map<SignalingClient, Set<string>>()
  const ice = new Map<SignalingClient, { readonly configuration: IceConfiguration; readonly at: number }>()
  let sending: Promise<void> = Promise.resolve()
  let reconnectedAt = -Infinity
  let cancelReconnect = (): void => {}
  let isStopped = false

  const dialer = createDialer({
    host,
    platform: options.platform,
    holdMs: options.holdMs ?? (options.platform.needsHold ? HOLD_MS : 0),
    configuration,
    misplaced: rename,
    pathLost() {
      for (const client of presence.keys()) client.reconnect()
    },
    send(message) {
      sending = sendAfter(sending, message)
    },
  })

  async function sendAfter(before: Promise<void>, message: Omit<Envelope, "from">): Promise<void> {
    try {
      const [blob] = await Promise.all([sealEnvelope(context, message, random), before])
      const to = bytesToHex(message.to)
      const clients = [...presence].toSorted(([, a], [, b]) => Number(b.has(to)) - Number(a.has(to)))
      for (const [client] of clients) if (client.signal(message.to, blob)) return
    } catch (error) {
      host.report({ type: "warning", code: "not-sent", detail: String(error) })
    }
  }

  function configuration(): RTCConfiguration {
    const iceServers = options.iceServers === undefined ? handedOut() : [...options.iceServers]
    return { iceServers, ...(options.privacy === "relay" && { iceTransportPolicy: "relay" }) }
  }

  function handedOut(): RTCIceServer[] {
    return [...ice].flatMap(([client, { configuration: given, at }]) => {
      const { servers, expiresInMs } = given
      // A sleeping page can miss the renewal. The wall clock is not asked, since it may be wrong.
      if (expiresInMs > 0 && clock.monotonic() - at > expiresInMs) client.requestIce()
      return servers.map(({ urls, username, credential }) =>
        username === "" ? { urls: [...urls] } : { urls: [...urls], username, credential },
      )
    })
  }

  function connectTo(url: string): void {
    const here = new Set<string>()
    let opening: Promise<void> = Promise.resolve()
    let waiting = 0
    let hasJoined = false

    /** Who is at each of the other servers. */
    const others = (): readonly ReadonlySet<string>[] =>
      [...presence.values()].filter((each) => each !== here)
    const arrive = (peers: readonly Uint8Array[]): void => {
      for (const peer of peers) if (here.size < MAX_PRESENT) here.add(bytesToHex(peer))
      dialer.present(peers)
    }
    const isElsewhere = (peer: Uint8Array): boolean => others().some((each) => each.has(bytesToHex(peer)))
    const depart = (peer: Uint8Array): void => {
      here.delete(bytesToHex(peer))
      if (!isElsewhere(peer)) dialer.absent(peer)
    }
    const open = async (before: Promise<void>, from: Uint8Array, blob: Uint8Array): Promise<void> => {
      const opened = await opener.open(blob, from)
      await before
      waiting -= 1
      if (isStopped) return
      if (typeof opened === "string") {
        host.report({ type: "warning", code: `signal-${opened}`, detail: "a signal was dropped" })
      } else {
        dialer.receive(opened)
      }
    }

    const client = createSignalingClient({
      ...host,
      url,
      topic: credentials.topic,
      token: async () => (typeof options.token === "function" ? options.token() : (options.token ?? "")),
      webSocket: options.webSocket,
      events: {
        joined(peers) {
          presence.set(client, here)
          const now = new Set(peers.map(bytesToHex))
          for (const id of [...here]) if (!now.has(id)) depart(hexToBytes(id))
          // Before new calls begin. Where others are joined, they carried the signals.
          if (hasJoined) dialer.reconnect(others().every(({ size }) => size === 0))
          hasJoined = true
          arrive(peers)
        },
        presence(joined, left) {
          arrive(joined)
          for (const peer of left) depart(peer)
        },
        signal(from, blob) {
          if (waiting >= MAX_WAITING_SIGNALS) return
          waiting += 1
          // These are views of the socket's buffer: what waits needs bytes of its own.
          opening = open(opening, from.slice(), blob.slice())
        },
        gone: depart,
        away(peer) {
          // Another server may still have the peer.
          if (!isElsewhere(peer)) dialer.away(peer)
        },
        taken: rename,
        ice(given) {
          ice.set(client, { configuration: given, at: clock.monotonic() })
          if (options.iceServers === undefined) dialer.reconfigure()
        },
        // Connections outlive the server. The next join tells who is still there; until then the other servers tell who leaves.
        lost() {
          presence.set(client, new Set())
        },
        report: (report) => host.report(report),
      },
    })
    presence.set(client, here)
  }
  for (const url of new Set(options.servers)) connectTo(url)
  // There is nothing else to do until the servers answer.
  clock.after(0, () => {
    if (!isStopped) options.platform.warmUp()
  })

  /** The last call of a second counts too: the network may have come back only then. */
  function reconnect(): void {
    const now = clock.monotonic()
    const waitMs = reconnectedAt + RECONNECT_EVERY_MS - now
    cancelReconnect()
    if (waitMs > 0) return void (cancelReconnect = clock.after(waitMs, reconnect))
    reconnectedAt = now
    for (const client of presence.keys()) client.reconnect()
    dialer.reconnect(false)
  }
  /** Makes the others notice now, not only when ICE does. */
  function suspend(): void {
    reconnectedAt = -Infinity
    cancelReconnect()
    for (const [client, here] of presence) {
      client.suspend()
      here.clear()
    }
    dialer.suspend()
  }
  const unlisten = [
    // Browsers say when the network is back: waiting for the back-off would look broken to people.
    listen("online", reconnect),
    listen("pagehide", suspend),
    // The page is back from the browser's cache, as it was left.
    listen("pageshow", reconnect),
  ]

  return {
    reconnect,
    suspend,
    async stop() {
      isStopped = true
      for (const end of unlisten) end()
      cancelReconnect()
      dialer.close()
      await sending
      await Promise.all([...presence.keys()].map((client) => client.close()))
    },
  }
}

function listen(event: "online" | "pagehide" | "pageshow", listener: () => void): () => void {
  const page = globalThis as Partial<Pick<Window, "addEventListener" | "removeEventListener">>
  page.addEventListener?.(event, listener)
  return () => page.removeEventListener?.(event, listener)
}
