// `npm run check`: everything that can be said about the repository without running it.
//   npm run check -- lint types       only those steps
import { execFile } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { findForeignText } from "./repository-text.ts"
import { concludeSteps, ROOT, runStep, tool } from "./run-step.ts"
import type { StepResult } from "./run-step.ts"

type Step = () => Promise<StepResult>

const execute = promisify(execFile)
const PACKED =
  /^(LICENSE|README\.md|package\.json|examples\/[\w.-]+|dist\/.*\.(js|d\.ts)(\.map)?|src\/.*\.tsx?|src\/.*tsconfig\.json)$/

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
    parts.push(await checkPackedFiles(name))
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

/** A package holds programs, their sources and what people read. Anything else, such as a build's cache, came in by mistake. */
async function checkPackedFiles(name: string): Promise<StepResult> {
  const started = performance.now()
  const { stdout } = await execute("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: join(ROOT, "packages", name),
    maxBuffer: 1 << 26,
  })
  const [packed] = JSON.parse(stdout) as readonly { files: readonly { path: string }[] }[]
  const strange = (packed?.files ?? [{ path: "nothing" }]).filter(({ path }) => !PACKED.test(path))
  for (const { path } of strange) console.error(`packages/${name}: ${path} does not belong in the package`)
  return {
    name: `packed files ${name}`,
    passed: strange.length === 0,
    seconds: (performance.now() - started) / 1000,
  }
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
