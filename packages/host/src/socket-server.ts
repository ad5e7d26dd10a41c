import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { createServer as createTlsServer } from "node:https"
import type { Socket } from "node:net"
import type { Clock } from "@dunlin/core"
import { SIGNALING_SUBPROTOCOL } from "@dunlin/core/signaling"
import { type ServerOptions, type WebSocket, WebSocketServer } from "ws"
import type { AddressLimits } from "./address-limits.ts"
import { Connection } from "./connection.ts"
import type { HostCounters } from "./host-counters.ts"
import type { HostSettings } from "./host-settings.ts"
import { closeServer } from "./listening.ts"
import type { TlsFiles } from "./setting-files.ts"
import type { SignalingSessions } from "./signaling-session.ts"
import { createBucket } from "./token-bucket.ts"
import { admitTcp, type TcpAdmission } from "./tcp-admission.ts"
import { refuseUpgrade, type UpgradeGate, type UpgradeVerdict } from "./upgrade-gate.ts"

export interface SocketServer {
  readonly server: Server
  /** Refuses new connections; open ones continue. */
  stopAccepting(): void
  replaceTls(files: TlsFiles): void
  close(): Promise<void>
}

/** How long a peer may take to close after it has said that it will. */
const CLOSE_TIMEOUT_MS = 2000
/** Frames of the protocol fit into one fragment; a sender of more than this many is up to no good. */
const MAX_FRAGMENTS = 64
const MAX_BUFFERED_CHUNKS = 1024
/** TCP connections beyond `maxSockets` that may still be in HTTP, or are being refused. */
const SPARE_CONNECTIONS = 1000

/** HTTP and, behind it, WebSockets: everything below the protocol's frames. */
export function createSocketServer(deps: {
  readonly settings: HostSettings
  readonly tls: TlsFiles | null
  readonly clock: Clock
  readonly gate: UpgradeGate
  readonly tcp: TcpAdmission
  readonly addresses: AddressLimits
  readonly sessions: SignalingSessions
  readonly connections: Set<Connection>
  readonly counters: HostCounters
  /** A fault of ours must neither end the process nor leave a socket half set up. */
  readonly faulted: (connection: Connection, error: unknown) => void
}): SocketServer {
  const { settings, clock, sessions, connections } = deps
  const http = {
    maxHeaderSize: settings.maxHeaderBytes,
    headersTimeout: settings.httpTimeoutMs,
    requestTimeout: settings.httpTimeoutMs,
    connectionsCheckingInterval: Math.max(50, Math.min(1000, settings.httpTimeoutMs / 2)),
    keepAliveTimeout: 1000,
    noDelay: true,
  }
  const tlsServer =
    deps.tls === null
      ? null
      : createTlsServer(
          { ...http, ...deps.tls, minVersion: "TLSv1.2", handshakeTimeout: settings.httpTimeoutMs },
          answerPlainRequest,
        )
  const server: Server = tlsServer ?? createServer(http, answerPlainRequest)
  server.maxConnections = settings.maxSockets + SPARE_CONNECTIONS

  const options: ServerOptions & { readonly closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: settings.maxFrameBytes,
    maxFragments: MAX_FRAGMENTS,
    maxBufferedChunks: MAX_BUFFERED_CHUNKS,
    closeTimeout: CLOSE_TIMEOUT_MS,
    // Pings are answered by hand, so that they are charged.
    autoPong: false,
    handleProtocols: () => SIGNALING_SUBPROTOCOL,
  }
  const webSockets = new WebSocketServer(options)

  /** Sockets from before TLS and HTTP, because Node cannot end a handshake that is under way. */
  const open = new Set<Socket>()
  server.on("connection", (socket: Socket) => {
    open.add(socket)
    socket.once("close", () => open.delete(socket))
    admitTcp(socket, deps.tcp)
  })
  server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    // A reset during the handshake needs no attention, but without a listener it would end the process.
    const ignore = (): void => {}
    socket.on("error", ignore)
    const verdict = deps.gate.judge(request, clock.monotonic())
    if (verdict.type === "refused") {
      refuseUpgrade(socket, verdict.status, verdict.reason)
      return
    }
    let upgraded = false
    // `ws` refuses malformed handshakes without calling back, so the socket's close has to tell.
    socket.once("close", () => {
      if (!upgraded) deps.addresses.closed(verdict.addressGroup, clock.monotonic())
    })
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      upgraded = true
      socket.off("error", ignore)
      accept(webSocket, socket, verdict)
    })
  })
  server.on("clientError", (_error: Error, socket: Socket) => {
    if (socket.writable) refuseUpgrade(socket, 400, "this host cannot parse the HTTP request")
    else socket.destroy()
  })
  // An answer would wait for the handshake that has just failed, and keep the connection open for ever.
  tlsServer?.on("tlsClientError", (_error: Error, socket: Socket) => socket.destroy())

  const accept = (
    socket: WebSocket,
    stream: Socket,
    client: Extract<UpgradeVerdict, { type: "accepted" }>,
  ): void => {
    const now = clock.monotonic()
    const connection = new Connection(socket, stream, {
      ...client,
      messages: createBucket(
        { perSecond: settings.socketMessagesPerSecond, burst: settings.socketMessageBurst },
        now,
      ),
      bytes: createBucket({ perSecond: settings.socketBytesPerSecond, burst: settings.socketByteBurst }, now),
      now,
      slowBytes: settings.slowBytes,
      slowCloseBytes: settings.slowCloseBytes,
      counters: deps.counters,
    })
    connections.add(connection)
    const guarded = (handle: () => void): void => {
      try {
        handle()
      } catch (error) {
        deps.faulted(connection, error)
      }
    }
    socket.on("message", (data: Buffer, isBinary: boolean) =>
      guarded(() => sessions.frame(connection, data, isBinary)),
    )
    socket.on("ping", (payload: Buffer) => guarded(() => sessions.ping(connection, payload)))
    socket.on("pong", (payload: Buffer) => guarded(() => sessions.pong(connection, payload)))
    socket.on("error", () => guarded(() => sessions.violated(connection)))
    socket.on("close", (code: number) => {
      connections.delete(connection)
      deps.addresses.closed(connection.addressGroup, clock.monotonic())
      guarded(() => sessions.closed(connection, code))
    })
  }

  return {
    server,
    stopAccepting: () => void server.close(),
    replaceTls: (files) => tlsServer?.setSecureContext(files),
    close() {
      for (const socket of open) socket.destroy()
      return closeServer(server)
    },
  }
}

function answerPlainRequest(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(426, { "content-type": "text/plain", connection: "close", upgrade: "websocket" })
  response.end("This is a Dunlin signaling host; it speaks WebSocket only.\n")
}
