// `npm run bench`: every suite in turn, each in a process of its own.
//   npm run bench -- reconcile --quick    one suite, in at most two minutes
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

const SUITES = ["reconcile", "host", "connect", "rxdb", "loro"]

const args = process.argv.slice(2)
const flags = args.filter((arg) => arg.startsWith("--"))
const named = args.filter((arg) => !arg.startsWith("--"))
const suites = named.length > 0 ? named : SUITES

for (const suite of suites) {
  const failure = await runSuite(suite)
  if (failure === null) continue
  console.error(failure)
  process.exitCode = 1
}

/** Resolves with null, or with what went wrong. */
async function runSuite(suite: string): Promise<string | null> {
  if (!SUITES.includes(suite)) return `There is no suite "${suite}"; there are ${SUITES.join(", ")}.`
  const file = fileURLToPath(new URL(`./${suite}.ts`, import.meta.url))
  if (!existsSync(file)) return `The suite "${suite}" has no file bench/${suite}.ts.`
  console.log(`\n── bench ${suite}${flags.length > 0 ? ` ${flags.join(" ")}` : ""}`)
  const started = performance.now()
  const runner = fileURLToPath(new URL("./run-suite.ts", import.meta.url))
  const code = await new Promise<number | null>((resolve) => {
    // Own process: heap, warm code and open handles of one suite must not weigh on the next.
    const child = spawn(
      process.execPath,
      ["--conditions=@dunlin/source", "--import", "tsx", "--expose-gc", runner, file, ...flags],
      { stdio: ["ignore", "inherit", "inherit"] },
    )
    child.once("exit", resolve)
  })
  console.log(`bench ${suite} took ${((performance.now() - started) / 1000).toFixed(1)} s`)
  return code === 0 ? null : `The suite "${suite}" ended with ${code === null ? "a signal" : `code ${code}`}.`
}
