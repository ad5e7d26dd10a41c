import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"

export interface ChildOptions {
  /** Linux network namespace to run in, by name. */
  readonly namespace?: string
  readonly env?: Readonly<Record<string, string>>
  /** Flags for Node itself, such as `--expose-gc`. */
  readonly nodeArgs?: readonly string[]
  /** Runs the packages as `npm run build` made them and users get them, not their source. Default false. */
  readonly built?: boolean
}

/** A child that runs TypeScript source, and what it printed. */
export interface SourceChild {
  readonly process: ChildProcess
  readonly output: readonly string[]
  /** Resolves with the exit code, null after a signal. */
  readonly exited: Promise<number | null>
  /** Sends SIGTERM, and SIGKILL after 10 s. */
  stop(): Promise<void>
  kill(): Promise<void>
}

const STOP_LIMIT_MS = 10_000
const KEPT_LINES = 2_000

/** Runs a TypeScript file of this repository in a Node process of its own. */
export function spawnSource(file: string, args: readonly string[], options: ChildOptions = {}): SourceChild {
  const node = [
    process.execPath,
    ...(options.built === true ? [] : ["--conditions=@dunlin/source"]),
    "--import",
    import.meta.resolve("tsx"),
    ...(options.nodeArgs ?? []),
    file,
    ...args,
  ]
  const [command = "", ...rest] =
    options.namespace === undefined ? node : ["ip", "netns", "exec", options.namespace, ...node]
  const child = spawn(command, rest, {
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    // Passes bytes and errors without converting them.
    serialization: "advanced",
  })
  const output = collectLines(child)
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject)
    child.once("exit", (code) => resolve(code))
  })
  exited.catch(() => undefined)
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await exited
  }
  return {
    process: child,
    output,
    exited,
    async stop() {
      const insist = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS)
      await end("SIGTERM")
      clearTimeout(insist)
    },
    kill: () => end("SIGKILL"),
  }
}

function collectLines(child: ChildProcess): string[] {
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ""
    stream?.setEncoding("utf8")
    stream?.on("data", (text: string) => {
      const parts = (rest + text).split("\n")
      rest = parts.pop() ?? ""
      lines.push(...parts)
      if (lines.length > KEPT_LINES) lines.splice(0, lines.length - KEPT_LINES)
    })
  }
  return lines
}
