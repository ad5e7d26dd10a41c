import { spawn } from "node:child_process"
import { constants, setPriority } from "node:os"
import { fileURLToPath } from "node:url"

export const ROOT: string = fileURLToPath(new URL("..", import.meta.url))

export interface StepResult {
  readonly name: string
  readonly passed: boolean
  readonly seconds: number
  /** Why it did not run, when it did not. */
  readonly skipped?: string
}

/** Runs a program of this repository's toolchain and shows what it says. */
export async function runStep(
  name: string,
  command: readonly string[],
  options: RunOptions = {},
): Promise<StepResult> {
  const title = `\n── ${name}: ${command.join(" ")}`
  if (options.place !== "background") console.log(title)
  const started = performance.now()
  const code = await runProgram(command, {
    ...options,
    onOutput: (output) => process.stdout.write(`${title}\n${output}`),
  })
  return { name, passed: code === 0, seconds: (performance.now() - started) / 1000 }
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** After this long the program is killed, and has failed. */
  readonly limitMs?: number
  /** "background": takes the processor only while nobody else wants it, and says what it has to say at its end. */
  readonly place?: "foreground" | "background"
  readonly onOutput?: (output: string) => void
}

/** Resolves with the exit code; 127 when the program could not be started, 128 after a signal. */
export function runProgram(
  [program = "", ...args]: readonly string[],
  { env = {}, limitMs, place = "foreground", onOutput }: RunOptions = {},
): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: ROOT,
      stdio: place === "background" ? ["ignore", "pipe", "pipe"] : ["ignore", "inherit", "inherit"],
      env: { ...process.env, ...env },
      shell: process.platform === "win32",
    })
    if (place === "background" && child.pid !== undefined) yieldToOthers(child.pid)
    let output = ""
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => (output += text))
    child.once("error", (error) => {
      console.error(error.message)
      resolve(127)
    })
    const limit = limitMs === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), limitMs)
    child.once("close", (code) => {
      clearTimeout(limit)
      if (place === "background") onOutput?.(output)
      if (code === null) console.error(`${program} was killed after ${(limitMs ?? 0) / 60_000} minutes.`)
      resolve(code ?? 128)
    })
  })
}

function yieldToOthers(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW)
  } catch {
    // It ended already, or this system does not let us: then it runs like any other.
  }
}

/** Runs a tool from node_modules by its package's bin file, without a shell or npx between. */
export function tool(bin: string, ...args: readonly string[]): readonly string[] {
  return [process.execPath, `node_modules/${bin}`, ...args]
}

/** Prints what each step took and sets the exit code. */
export function concludeSteps(title: string, results: readonly StepResult[]): void {
  console.log(`\n${title}`)
  for (const { name, passed, seconds, skipped } of results) {
    const state = skipped !== undefined ? `skipped: ${skipped}` : passed ? "passed" : "FAILED"
    console.log(`  ${name.padEnd(24)} ${seconds.toFixed(1).padStart(7)} s  ${state}`)
  }
  // Not their sum: some go side by side.
  const total = performance.now() / 1000
  console.log(`  ${"total".padEnd(24)} ${total.toFixed(1).padStart(7)} s`)
  if (results.some(({ passed }) => !passed)) process.exitCode = 1
}
