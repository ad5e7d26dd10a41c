// Prints the closing line of `.ci/run`: the counts of every vitest project that ran.
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { ROOT } from "./run-step.ts"
import { RESULTS_FOLDER } from "./run-tests.ts"

interface ProjectResults {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[]
}

const folder = join(ROOT, RESULTS_FOLDER)
let passed = 0
let failed = 0
let skipped = 0
for (const file of readdirSync(folder)) {
  const results = JSON.parse(readFileSync(join(folder, file), "utf8")) as ProjectResults
  passed += results.numPassedTests
  failed += results.numFailedTests
  skipped += results.numPendingTests + results.numTodoTests
  // A file that did not load has no tests to count, and must not vanish from the sum.
  failed += results.testResults.filter(
    (one) => one.status === "failed" && one.assertionResults.length === 0,
  ).length
}
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`)
