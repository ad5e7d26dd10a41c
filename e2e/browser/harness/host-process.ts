import { fileURLToPath } from "node:url"
import { spawnSource } from "./child-process.ts"
import type { ChildOptions } from "./child-process.ts"

/** A signaling server in a process of its own, started as a user starts it. */
export interface HostProcess {
  /** `ws://…` as the host printed it. */
  readonly url: string
  readonly port: number
  readonly pid: number
  output(): readonly string[]
  /** Sends SIGTERM: the host drains and ends. */
  close(): Promise<void>
  kill(): Promise<void>
}

export interface HostOptions extends ChildOptions {
  readonly port?: number
  /** Address to listen on. Default 127.0.0.1. */
  readonly address?: string
  /** Further flags of the command line. */
  readonly args?: readonly string[]
}

const BIN = fileURLToPath(new URL("../../../packages/host/src/bin.ts", import.meta.url))
const START_LIMIT_MS = 60_000

export async function startHostProcess(options: HostOptions = {}): Promise<HostProcess> {
  const { port = 0, address = "127.0.0.1", args = [] } = options
  const operations = args.includes("--operations-port") ? [] : ["--operations-port", "off"]
  // Tests share the machine with browsers, and a host that refuses sockets under load would fail them for no reason.
  const patience = args.includes("--max-loop-lag-ms") ? [] : ["--max-loop-lag-ms", "60000"]
  const flags = ["--port", String(port), "--host", address, ...operations, ...patience, ...args]
  const child = spawnSource(BIN, flags, options)
  const deadline = Date.now() + START_LIMIT_MS
  let ended = false
  child.exited.then(
    () => (ended = true),
    () => (ended = true),
  )
  for (;;) {
    const url = /wss?:\/\/[^\s"']+/.exec(child.output.join("\n"))?.[0]
    if (url !== undefined) {
      return {
        url,
        port: Number(new URL(url).port),
        pid: child.process.pid ?? 0,
        output: () => child.output,
        close: () => child.stop(),
        kill: () => child.kill(),
      }
    }
    if (ended || Date.now() > deadline) {
      await child.kill().catch(() => undefined)
      throw new Error(`The host did not start. It said:\n${child.output.slice(-20).join("\n")}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
