// `npm run check`: everything that can be said about the repository without running it.
//   npm run check -- lint types       only those steps
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { findForeignText } from "./repository-text.ts"
import { concludeSteps, ROOT, runStep, tool } from "./run-step.ts"
import type { StepResult } from "./run-step.ts"

type Step = () => Promise<StepResult>

const tsc = (...args: readonly string[]): readonly string[] => tool("typescript/bin/tsc", ...args)
const packages = readdirSync(join(ROOT, "packages")).filter((name) =>
  existsSync(join(ROOT, "packages", name, "src/index.ts")),
)

const STEPS: Readonly<Record<string, Step>> = {
  format: () => runStep("format", tool("oxfmt/bin/oxfmt", "--check")),
  lint: () => runStep("lint", tool("oxlint/bin/oxlint", "--deny-warnings")),
  types: () => runStep("types", tsc("-b", "tsconfig.build.json")),
  "test types": () => runStep("test types", tsc("-p", ".")),
  // The step before compiles the same programs against RxDB's own plugin.
  "drop-in types": () => runStep("drop-in types", tsc("-p", "packages/rxdb/test/programs")),
  "workspace types": async () => {
    const page = await runStep("workspace types", tsc("-p", "apps/workspace/tsconfig.json"))
    const server = await runStep("workspace types", tsc("-p", "apps/workspace/tsconfig.node.json"))
    return together("workspace types", [page, server])
  },
  "dead code": () => runStep("dead code", tool("knip/bin/knip.js")),
  exports: checkExports,
  sizes: checkSizes,
  text: checkText,
}

const wanted = process.argv.slice(2)
const results: StepResult[] = []
for (const [name, step] of Object.entries(STEPS)) {
  if (wanted.length === 0 || wanted.includes(name)) results.push(await step())
}
concludeSteps("npm run check", results)

/** Whether each package resolves for those who install it: publint on the files, attw on the types. */
async function checkExports(): Promise<StepResult> {
  const parts: StepResult[] = []
  for (const name of packages) {
    const folder = `packages/${name}`
    parts.push(await runStep(`publint ${name}`, tool("publint/src/cli.js", folder, "--strict")))
    parts.push(
      await runStep(
        `attw ${name}`,
        tool(
          "@arethetypeswrong/cli/dist/index.js",
          "--pack",
          folder,
          "--profile",
          "esm-only",
          "--format",
          "ascii",
        ),
      ),
    )
  }
  return together("exports", parts)
}

/** What a browser loads: each package by itself, and the workspace as built. */
async function checkSizes(): Promise<StepResult> {
  const packed = await runStep("sizes", tool("size-limit/bin.js"))
  const build = tool("vite/bin/vite.js", "build", "apps/workspace", "--logLevel", "error")
  const built = await runStep("workspace build", build)
  if (!built.passed) return together("sizes", [packed, built])
  const weighed = await runStep("workspace sizes", [
    process.execPath,
    "--import",
    "tsx",
    "apps/workspace/check-size.ts",
  ])
  return together("sizes", [packed, built, weighed])
}

async function checkText(): Promise<StepResult> {
  console.log("\n── text: no machine's paths, no registry hosts")
  const started = performance.now()
  const found = await findForeignText(ROOT)
  for (const { file, line, text, reason } of found) console.error(`${file}:${line}: ${reason}: ${text}`)
  return { name: "text", passed: found.length === 0, seconds: (performance.now() - started) / 1000 }
}

function together(name: string, parts: readonly StepResult[]): StepResult {
  return {
    name,
    passed: parts.every(({ passed }) => passed),
    seconds: parts.reduce((sum, { seconds }) => sum + seconds, 0),
  }
}
