import { runStep, tool } from "./run-step.ts"
import type { StepResult } from "./run-step.ts"

/** Where each vitest project leaves its counts, for the closing line of `.ci/run`. */
export const RESULTS_FOLDER = ".cache/test-results"

/** vitest ends a test that waits too long, but not one that computes for ever. */
const LIMIT_MS = 900_000

/** Runs one vitest project. A project that has no tests yet passes. */
export function runTests(project: string, rest: readonly string[] = []): Promise<StepResult> {
  return runStep(
    project,
    tool(
      "vitest/vitest.mjs",
      "run",
      "--project",
      project,
      "--passWithNoTests",
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${RESULTS_FOLDER}/${project}.json`,
      ...rest,
    ),
    { limitMs: LIMIT_MS },
  )
}
