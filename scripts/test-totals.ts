// Prints the end of `.ci/run`: what failed and why, and the counts of every vitest project that ran.
import { readdirSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"
import { ROOT } from "./run-step.ts"
import { RESULTS_FOLDER } from "./run-tests.ts"

interface ProjectResults {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly FileResults[]
}

interface FileResults {
  readonly name: string
  readonly status: string
  readonly message: string
  readonly assertionResults: readonly {
    readonly fullName: string
    readonly status: string
    readonly failureMessages: readonly string[]
  }[]
}

const folder = join(ROOT, RESULTS_FOLDER)
let passed = 0
let failed = 0
let skipped = 0
for (const report of readdirSync(folder)) {
  const results = JSON.parse(readFileSync(join(folder, report), "utf8")) as ProjectResults
  passed += results.numPassedTests
  failed += results.numFailedTests
  skipped += results.numPendingTests + results.numTodoTests
  for (const file of results.testResults) {
    for (const test of file.assertionResults) {
      if (test.status === "failed")
        tell(`${nameOf(file)} > ${test.fullName}`, test.failureMessages.join("\n"))
    }
    // A file that did not load has no tests to count, but must count as failed.
    if (file.status === "failed" && file.assertionResults.length === 0) {
      failed += 1
      tell(nameOf(file), file.message)
    }
  }
}
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`)

function nameOf(file: FileResults): string {
  return relative(ROOT, file.name)
}

/** The first lines say what was expected; the rest of a stack is in the project's report. */
function tell(test: string, message: string): void {
  console.log(`FAILED ${test}\n  ${message.split("\n").slice(0, 6).join("\n  ")}`)
}
