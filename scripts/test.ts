// `npm test`: every test a newcomer should see pass, one vitest project after the other.
//   npm test -- --project unit        only that project
//   npm test -- --project unit -t dot further arguments go to vitest
import { findChromium, findFirefox } from "../e2e/browser/harness/find-browser.ts"
import { ensureProgram } from "./ensure-program.ts"
import { concludeSteps } from "./run-step.ts"
import type { StepResult } from "./run-step.ts"
import { runTests } from "./run-tests.ts"

const PROJECTS = ["unit", "sim", "node", "browser"]

const { projects, rest } = parseArguments(process.argv.slice(2))
if (!projects.includes("browser") || (await ensureBrowsers())) {
  const results: StepResult[] = []
  for (const project of projects) results.push(await runTests(project, rest))
  concludeSteps("npm test", results)
} else {
  console.error(`
No browser is installed that the tests could use. Install Chromium, Chrome, Edge or Firefox, or name its program in
CHROMIUM_PATH or FIREFOX_PATH, and run npm test again. These tests need none:
  npm test -- --project unit --project sim --project node`)
  process.exitCode = 1
}

/** Says at once what will be skipped, and resolves with whether there is a browser at all. */
async function ensureBrowsers(): Promise<boolean> {
  const noChromium = await ensureProgram({
    find: findChromium,
    aptPackage: "chromium",
    advice: "no Chromium, Chrome or Edge is installed, or it is not named in CHROMIUM_PATH",
  })
  const noFirefox = await ensureProgram({
    find: findFirefox,
    aptPackage: "firefox-esr",
    advice: "no Firefox is installed, or it is not named in FIREFOX_PATH",
  })
  if (noChromium !== null && noFirefox !== null) return false
  if (noChromium !== null) console.log(`skipped: most tests in browsers: ${noChromium}`)
  if (noFirefox !== null) console.log(`skipped: tests in Firefox: ${noFirefox}`)
  return true
}

function parseArguments(args: readonly string[]): {
  readonly projects: readonly string[]
  readonly rest: readonly string[]
} {
  const projects: string[] = []
  const rest: string[] = []
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? ""
    if (arg === "--project") projects.push(args[++index] ?? "")
    else if (arg.startsWith("--project=")) projects.push(arg.slice("--project=".length))
    else rest.push(arg)
  }
  return { projects: projects.length > 0 ? projects : PROJECTS, rest }
}
