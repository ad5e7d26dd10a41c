import { spawn } from "node:child_process"
import { createHmac } from "node:crypto"
import { createSocket } from "node:dgram"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { findProgram } from "./find-browser.ts"

/** A coturn that knows one secret and issues no credentials itself. */
export interface TurnServer {
  /** The value for the host's `turnSecret`. */
  readonly secret: string
  readonly stunUrl: string
  readonly turnUrl: string
  /** An entry for `iceServers`, valid for an hour. */
  iceServer(): { readonly urls: string; readonly username: string; readonly credential: string }
  /** Lines of coturn's own log. */
  output(): readonly string[]
  close(): Promise<void>
}

export interface TurnServerOptions {
  /** Address to listen and relay on. Default 127.0.0.1. */
  readonly address?: string
  readonly namespace?: string
  /** Further arguments for coturn. */
  readonly args?: readonly string[]
}

const START_LIMIT_MS = 20_000

/** Why no TURN server can be started here, or null if one can. */
export function turnServerProblem(): string | null {
  return findProgram("turnserver") === null ? "coturn is not installed" : null
}

export async function startTurnServer(options: TurnServerOptions = {}): Promise<TurnServer> {
  const { address = "127.0.0.1", namespace } = options
  const folder = await mkdtemp(join(tmpdir(), "dunlin-turn-"))
  const secret = "a secret for tests alone"
  const port = namespace === undefined ? await freeUdpPort(address) : 3478
  const arguments_ = [
    "-n",
    `--listening-ip=${address}`,
    `--relay-ip=${address}`,
    `--listening-port=${port}`,
    "--min-port=49160",
    "--max-port=49460",
    "--use-auth-secret",
    `--static-auth-secret=${secret}`,
    "--realm=dunlin",
    "--fingerprint",
    "--no-tls",
    "--no-dtls",
    "--no-cli",
    // Without this, coturn refuses peers in 127.0.0.0/8, where the tests run.
    "--allow-loopback-peers",
    "--log-file=stdout",
    "--simple-log",
    `--pidfile=${join(folder, "pid")}`,
    `--userdb=${join(folder, "db")}`,
    ...(options.args ?? []),
  ]
  const inside = namespace === undefined ? [] : ["ip", "netns", "exec", namespace]
  const [command = "", ...rest] = [...inside, "turnserver", ...arguments_]
  const child = spawn(command, rest, { stdio: ["ignore", "pipe", "pipe"] })
  const output: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => output.push(...text.split("\n")))
  }
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()))
  let ended = false
  void exited.then(() => (ended = true))
  const close = async (): Promise<void> => {
    child.kill("SIGKILL")
    await exited
    await rm(folder, { recursive: true, force: true })
  }

  // Its sockets are open by the time it reports its database.
  const deadline = Date.now() + START_LIMIT_MS
  while (!output.some((line) => /SQLite DB connection success/.test(line))) {
    if (ended || Date.now() > deadline) {
      await close()
      throw new Error(`coturn did not start. It said:\n${output.slice(-20).join("\n")}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const turnUrl = `turn:${address}:${port}`
  return {
    secret,
    stunUrl: `stun:${address}:${port}`,
    turnUrl,
    iceServer() {
      const username = `${Math.floor(Date.now() / 1000) + 3600}:test`
      const credential = createHmac("sha1", secret).update(username).digest("base64")
      return { urls: turnUrl, username, credential }
    },
    output: () => output,
    close,
  }
}

function freeUdpPort(address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4")
    socket.once("error", reject)
    socket.bind(0, address, () => {
      const { port } = socket.address()
      socket.close(() => resolve(port))
    })
  })
}
