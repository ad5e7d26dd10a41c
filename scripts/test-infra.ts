// `npm run test:infra`: tests against servers that npm does not provide: coturn, NATS.
import { findProgram } from "../e2e/browser/harness/find-browser.ts"
import { ensureProgram } from "./ensure-program.ts"
import { concludeSteps } from "./run-step.ts"
import { runTests } from "./run-tests.ts"

const PROGRAMS = [
  { program: "turnserver", aptPackage: "coturn" },
  { program: "nats-server", aptPackage: "nats-server" },
]

const missing: string[] = []
for (const { program, aptPackage } of PROGRAMS) {
  const problem = await ensureProgram({
    find: () => findProgram(program),
    aptPackage,
    advice: `${program} is not installed`,
  })
  if (problem !== null) missing.push(problem)
}
for (const problem of missing) console.log(`skipped: ${problem}`)
if (missing.length < PROGRAMS.length) {
  concludeSteps("npm run test:infra", [await runTests("infra", process.argv.slice(2))])
}
