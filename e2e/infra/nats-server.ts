import { spawn } from "node:child_process"
import { accessSync, constants } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { connect, createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"

export interface NatsServer {
  readonly url: string
  readonly pid: number
  stop(): Promise<void>
}

/** Debian installs servers outside an ordinary user's PATH. */
const PLACES = ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"]
const START_LIMIT_MS = 20_000

/** Why no NATS server can be started here, or null if one can. */
export function natsServerProblem(): string | null {
  return findNatsServer() === null ? "nats-server is not installed (apt install nats-server)" : null
}

/** `settings` are in the server's own configuration language. */
export async function startNatsServer(port: number, settings = ""): Promise<NatsServer> {
  const program = findNatsServer()
  if (program === null) throw new Error("nats-server is not installed")
  const folder = await mkdtemp(join(tmpdir(), "dunlin-nats-"))
  const file = join(folder, "nats.conf")
  await writeFile(file, settings)
  const child = spawn(program, ["-a", "127.0.0.1", "-p", String(port), "-c", file], { stdio: "ignore" })
  // "exit" does not come for a program that could not be run at all.
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()))
  child.on("error", () => {})
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL")
    await ended
    await rm(folder, { recursive: true, force: true })
  }
  const deadline = Date.now() + START_LIMIT_MS
  while (!(await accepts(port))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop()
      throw new Error("nats-server did not start")
    }
    await pause(20)
  }
  return { url: `nats://127.0.0.1:${port}`, pid: child.pid ?? 0, stop }
}

/** A route to a server that can be cut and restored, for one client only. */
export interface CuttableWay {
  readonly port: number
  cut(): void
  mend(): void
  close(): Promise<void>
}

export async function openCuttableWay(targetPort: number): Promise<CuttableWay> {
  let open = true
  const sockets = new Set<Socket>()
  const server = createServer((inner) => {
    if (!open) {
      inner.destroy()
      return
    }
    const outer = connect(targetPort, "127.0.0.1")
    for (const [from, to] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      sockets.add(from)
      from.pipe(to)
      from.on("error", () => to.destroy())
      from.on("close", () => {
        sockets.delete(from)
        to.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  const cutAll = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: address.port,
    cut() {
      open = false
      cutAll()
    },
    mend: () => void (open = true),
    async close() {
      cutAll()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A port that was free a moment ago. */
export async function freeTcpPort(): Promise<number> {
  const way = await openCuttableWay(1)
  await way.close()
  return way.port
}

function findNatsServer(): string | null {
  for (const place of PLACES) {
    try {
      accessSync(place, constants.X_OK)
      return place
    } catch {
      continue
    }
  }
  return null
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })
}
