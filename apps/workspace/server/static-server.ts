import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type Server,
  type ServerResponse,
} from "node:http"
import { readFile, stat } from "node:fs/promises"
import { extname, join, normalize, sep } from "node:path"
import type { Duplex } from "node:stream"
import { securityHeaders } from "./security-headers.ts"

export interface StaticServerOptions {
  /** The built application. */
  readonly root: string
  /** `/signal` is forwarded to this host, so that the page needs only one address. Null: not served. */
  readonly signaling: string | null
  /** 0 takes a free port. */
  readonly port: number
  readonly address?: string
}

export interface StaticServer {
  readonly url: string
  /** Ends open requests and signaling sockets. */
  close(): Promise<void>
}

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
}

export async function serveWorkspace(options: StaticServerOptions): Promise<StaticServer> {
  const address = options.address ?? "127.0.0.1"
  const tunnels = new Set<Duplex>()
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000, maxHeaderSize: 8_192 }, (request, response) => {
    answer(options.root, request, response).catch(() => response.destroy())
  }) // prettier-ignore
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (options.signaling === null || pathOf(request) !== "/signal") return socket.destroy()
    tunnel(options.signaling, request, socket, head, tunnels)
  })
  const port = await listen(server, options.port, address)
  return {
    url: `http://${address === "127.0.0.1" ? "localhost" : address}:${port}/`,
    async close() {
      for (const socket of tunnels) socket.destroy()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function answer(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") return void response.writeHead(405).end()
  const path = pathOf(request)
  const file = path === "/" ? "index.html" : fileIn(root, path)
  const found = file === null ? null : await readIfFile(join(root, file))
  if (file === null || found === null) return void response.writeHead(404, securityHeaders()).end()
  // Files with hashed names never change; all others are revalidated, or an update would go unnoticed.
  const isHashed = file.startsWith(`assets${sep}`) || file.startsWith("assets/")
  response.writeHead(200, {
    ...securityHeaders(),
    "Content-Type": TYPES[extname(file)] ?? "application/octet-stream",
    "Content-Length": found.length,
    "Cache-Control": isHashed ? "public, max-age=31536000, immutable" : "no-cache",
  })
  response.end(request.method === "HEAD" ? undefined : found)
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "/").split("?", 1)[0] ?? "/"
}

/** The path below the root, or null for anything that would leave it. */
function fileIn(root: string, path: string): string | null {
  try {
    const file = normalize(decodeURIComponent(path).replace(/^\/+/, ""))
    const isInside = join(root, file).startsWith(root + sep)
    return isInside && !file.includes("\0") ? file : null
  } catch {
    return null
  }
}

async function readIfFile(path: string): Promise<Buffer | null> {
  try {
    return (await stat(path)).isFile() ? await readFile(path) : null
  } catch {
    return null
  }
}

/** Forwards a WebSocket handshake to the host behind, byte for byte. */
function tunnel(
  target: string,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  tunnels: Set<Duplex>,
): void {
  const url = new URL(target)
  const behind = httpRequest({
    host: url.hostname,
    port: url.port,
    path: url.pathname,
    headers: { ...request.headers, host: url.host },
  })
  const end = (): void => {
    tunnels.delete(socket)
    socket.destroy()
    behind.destroy()
  }
  tunnels.add(socket)
  socket.on("error", end).on("close", end)
  behind.on("error", end)
  behind.on("response", end)
  behind.on("upgrade", (reply, other: Duplex, otherHead: Buffer) => {
    const lines = [`HTTP/1.1 101 ${reply.statusMessage ?? ""}`]
    for (let index = 0; index < reply.rawHeaders.length; index += 2) {
      lines.push(`${reply.rawHeaders[index]}: ${reply.rawHeaders[index + 1]}`)
    }
    socket.write(`${lines.join("\r\n")}\r\n\r\n`)
    socket.write(otherHead)
    other.write(head)
    other.on("error", end).on("close", end)
    socket.on("close", () => other.destroy())
    socket.pipe(other).pipe(socket)
  })
  behind.end()
}

function listen(server: Server, port: number, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, address, () => {
      const bound = server.address()
      resolve(typeof bound === "object" && bound !== null ? bound.port : port)
    })
  })
}
