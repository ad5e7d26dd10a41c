import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { inspect } from "node:util"

/** A process that answers calls; servers and drivers never run in the process that compares them. */
export interface BenchChild {
  call<T>(method: string, params?: unknown): Promise<T>
  /** False once it has died. */
  readonly alive: boolean
  stop(): Promise<void>
}

interface Answer {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

export async function spawnChild(file: string, args: readonly string[] = []): Promise<BenchChild> {
  const path = fileURLToPath(new URL(file, import.meta.url))
  // Without the condition that leads to the source: see `../built.ts`.
  const flags = ["--import", "tsx", "--expose-gc", "--no-warnings"]
  const child = spawn(process.execPath, [...flags, path, ...args], {
    stdio: ["ignore", "ignore", process.env["BENCH_DEBUG"] === undefined ? "ignore" : "inherit", "ipc"],
  })
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let nextId = 0
  let alive = true
  const ended = new Promise<void>((resolve) => {
    child.once("exit", (code, signal) => {
      alive = false
      for (const { reject } of waiting.values()) reject(new Error(`${file} died (${signal ?? code})`))
      waiting.clear()
      resolve()
    })
  })
  child.on("message", (message) => {
    const { id, value, error } = message as Answer
    const call = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) call?.resolve(value)
    else call?.reject(new Error(`${file}: ${error}`))
  })
  const bench: BenchChild = {
    call: <T>(method: string, params: unknown = {}) =>
      new Promise<T>((resolve, reject) => {
        if (!alive) {
          reject(new Error(`${file} is dead`))
          return
        }
        const id = nextId++
        waiting.set(id, { resolve: (value) => resolve(value as T), reject })
        child.send({ id, method, params })
      }),
    get alive() {
      return alive
    },
    async stop() {
      child.kill("SIGKILL")
      await ended
    },
  }
  await bench.call("ready")
  return bench
}

/** The child's side: call it once there. */
export function serveCalls(methods: Readonly<Record<string, (params: never) => unknown>>): void {
  process.on("message", (message) => {
    const { id, method, params } = message as { id: number; method: string; params: never }
    void (async () => {
      try {
        const value = method === "ready" ? true : await methods[method]?.(params)
        process.send?.({ id, value } satisfies Answer)
      } catch (error) {
        process.send?.({ id, error: inspect(error) } satisfies Answer)
      }
    })()
  })
  process.on("disconnect", () => process.exit())
}
