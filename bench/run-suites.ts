import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** Runs the suites named on the command line, or all of them, each in a process of its own. */
export async function runSuites(title: string, filesByName: Readonly<Record<string, string>>): Promise<void> {
  const args = process.argv.slice(2)
  const flags = args.filter((arg) => arg.startsWith("--"))
  const named = args.filter((arg) => !arg.startsWith("--"))
  for (const name of named.length > 0 ? named : Object.keys(filesByName)) {
    const failure = await runSuite(`${title} ${name}`, filesByName[name], flags)
    if (failure === null) continue
    console.error(failure)
    process.exitCode = 1
  }
}

/** Resolves with null, or with what went wrong. */
async function runSuite(
  title: string,
  name: string | undefined,
  flags: readonly string[],
): Promise<string | null> {
  if (name === undefined) return `There is no suite "${title}".`
  const file = fileURLToPath(new URL(name, import.meta.url))
  if (!existsSync(file)) return `The suite "${title}" has no file bench/${name}.`
  console.log(`\n── ${[title, ...flags].join(" ")}`)
  const started = performance.now()
  const runner = fileURLToPath(new URL("run-suite.ts", import.meta.url))
  const code = await new Promise<number | null>((resolve) => {
    // In a process of its own: one suite's heap, warm code and open handles must not affect the next.
    const child = spawn(
      process.execPath,
      ["--conditions=@dunlin/source", "--import", "tsx", "--expose-gc", runner, file, ...flags],
      { stdio: ["ignore", "inherit", "inherit"] },
    )
    child.once("exit", resolve)
  })
  console.log(`${title} took ${((performance.now() - started) / 1000).toFixed(1)} s`)
  return code === 0 ? null : `"${title}" ended with ${code === null ? "a signal" : `code ${code}`}.`
}
