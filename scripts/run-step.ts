import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

export const ROOT: string = fileURLToPath(new URL("..", import.meta.url))

export interface StepResult {
  readonly name: string
  readonly passed: boolean
  readonly seconds: number
  /** Why the step did not run, if it did not. */
  readonly skipped?: string
}

/** Runs a program of this repository's toolchain and shows its output. */
export async function runStep(
  name: string,
  command: readonly string[],
  options: RunOptions = {},
): Promise<StepResult> {
  console.log(`\n── ${name}: ${command.join(" ")}`)
  const started = performance.now()
  const code = await runProgram(command, options)
  return { name, passed: code === 0, seconds: (performance.now() - started) / 1000 }
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** After this time the program is killed, and counts as failed. */
  readonly limitMs?: number
}

/** Resolves with the exit code: 127 if the program could not be started, 128 after a signal. */
export function runProgram(
  [program = "", ...args]: readonly string[],
  { env = {}, limitMs }: RunOptions = {},
): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: ROOT,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, ...env },
      shell: process.platform === "win32",
    })
    child.once("error", (error) => {
      console.error(error.message)
      resolve(127)
    })
    const limit = limitMs === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), limitMs)
    child.once("exit", (code) => {
      clearTimeout(limit)
      if (code === null) console.error(`${program} was killed after ${(limitMs ?? 0) / 60_000} minutes.`)
      resolve(code ?? 128)
    })
  })
}

/** Runs a tool from node_modules by its package's bin file, without a shell or npx in between. */
export function tool(bin: string, ...args: readonly string[]): readonly string[] {
  return [process.execPath, `node_modules/${bin}`, ...args]
}

/** Prints how long each step took, and sets the exit code. */
export function concludeSteps(title: string, results: readonly StepResult[]): void {
  console.log(`\n${title}`)
  for (const { name, passed, seconds, skipped } of results) {
    const state = skipped !== undefined ? `skipped: ${skipped}` : passed ? "passed" : "FAILED"
    console.log(`  ${name.padEnd(24)} ${seconds.toFixed(1).padStart(7)} s  ${state}`)
  }
  const total = results.reduce((sum, { seconds }) => sum + seconds, 0)
  console.log(`  ${"total".padEnd(24)} ${total.toFixed(1).padStart(7)} s`)
  if (results.some(({ passed }) => !passed)) process.exitCode = 1
}
