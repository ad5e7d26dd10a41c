// `npm test`: every test a newcomer should see pass, one vitest project after the other.
//   npm test -- --project unit        only that project
//   npm test -- --project unit -t dot further arguments go to vitest
import { findChromium, findFirefox } from "../e2e/browser/harness/find-browser.ts"
import { bringProgram } from "./bring-program.ts"
import { concludeSteps } from "./run-step.ts"
import type { StepResult } from "./run-step.ts"
import { runTests } from "./run-tests.ts"

const PROJECTS = ["unit", "sim", "node", "browser"]

const { projects, rest } = parseArguments(process.argv.slice(2))
const results: StepResult[] = []
const missingBrowser = projects.includes("browser") ? await bringBrowsers() : null
for (const project of projects) {
  if (project === "browser" && missingBrowser !== null) {
    console.error(`\n${missingBrowser}`)
    results.push({ name: project, passed: false, seconds: 0 })
    continue
  }
  results.push(await runTests(project, rest))
}
concludeSteps("npm test", results)

async function bringBrowsers(): Promise<string | null> {
  const missing = await bringProgram({
    find: findChromium,
    aptPackage: "chromium",
    advice:
      "The browser tests need Chromium, Chrome or Edge. Install one, or name its program in CHROMIUM_PATH, and run npm test again.",
  })
  const noFirefox = await bringProgram({
    find: findFirefox,
    aptPackage: "firefox-esr",
    advice: "no Firefox is installed, or it is not named in FIREFOX_PATH",
  })
  if (noFirefox !== null) console.log(`Firefox tests skipped: ${noFirefox}`)
  return missing
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
