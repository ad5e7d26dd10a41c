// What the network's own tests run inside namespaces: echo servers and clients over UDP and TCP.
import { createSocket } from "node:dgram"
import { connect, createServer } from "node:net"
import type { RemoteInfo } from "node:dgram"

const PORT = 5_000

/** Answers each datagram with the address it came from, as a STUN server does. */
export async function serveUdp(): Promise<void> {
  const socket = createSocket("udp4")
  socket.on("message", (_, from) => socket.send(`${from.address}:${from.port}`, from.port, from.address))
  await new Promise<void>((resolve) => socket.bind(PORT, resolve))
}

export async function serveTcp(): Promise<void> {
  const server = createServer((socket) => void socket.end(socket.remoteAddress ?? ""))
  await new Promise<void>((resolve) => server.listen(PORT, resolve))
}

/** Our address as each of `servers` sees it, from one socket; null where no answer came. */
export async function askUdp(
  servers: readonly string[],
  waitMs: number,
): Promise<readonly (string | null)[]> {
  const socket = createSocket("udp4")
  await new Promise<void>((resolve) => socket.bind(0, resolve))
  const seen = new Map<string, string>()
  socket.on("message", (text, from: RemoteInfo) => seen.set(from.address, text.toString()))
  for (const server of servers) socket.send("who am I", PORT, server)
  await new Promise((resolve) => setTimeout(resolve, waitMs))
  socket.close()
  return servers.map((server) => seen.get(server) ?? null)
}

/** Our address as the server sees it, and how long it took to learn it. */
export function askTcp(server: string): Promise<{ readonly address: string; readonly tookMs: number }> {
  const started = performance.now()
  return new Promise((resolve, reject) => {
    const socket = connect(PORT, server)
    let address = ""
    socket.setEncoding("utf8").on("data", (text: string) => (address += text))
    socket.on("error", reject)
    socket.on("end", () => resolve({ address, tookMs: performance.now() - started }))
  })
}
