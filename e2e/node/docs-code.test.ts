import { spawn } from "node:child_process"
import { mkdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, expect, test } from "vitest"
import { NAMED_SERVERS, readDocsPrograms } from "../../scripts/docs-programs.ts"
import { createHarness } from "../browser/harness.ts"
import { spawnSource } from "../browser/harness/child-process.ts"

const ROOT = fileURLToPath(new URL("../..", import.meta.url))
const FOLDER = join(ROOT, ".cache/docs-programs")

const programs = readDocsPrograms(ROOT)
const harness = createHarness()
let server = ""

beforeAll(async () => {
  await rm(FOLDER, { recursive: true, force: true })
  await mkdir(FOLDER, { recursive: true })
  if (programs.some(({ kind }) => kind === "runs")) server = (await harness.host()).url
  for (const { name, language, code } of programs) {
    await writeFile(
      join(FOLDER, `${name}.${language}`),
      `${code.replaceAll(NAMED_SERVERS, server)}\nexport {}\n`,
    )
  }
})
afterAll(() => harness.close())

test("every program in README.md, the guides and the pages of packages compiles", async () => {
  const config = {
    extends: "../../tsconfig.json",
    compilerOptions: { noUnusedLocals: false, noUnusedParameters: false, rootDir: "../.." },
    include: ["*.ts", "*.tsx"],
  }
  await writeFile(join(FOLDER, "tsconfig.json"), JSON.stringify(config))
  const { code, said } = await run(["node_modules/typescript/bin/tsc", "-p", FOLDER])
  const where = programs
    .map(({ name, language, page, line }) => `${name}.${language} is at ${page}:${line}`)
    .join("\n")
  expect(code, `${said}\n${where}`).toBe(0)
})

const running = programs.filter(({ kind }) => kind === "runs")
test.skipIf(running.length === 0).each(running)("$page:$line runs to its end", async ({ name }) => {
  const child = spawnSource(join(FOLDER, `${name}.ts`), [])
  // If a guide's example does not end, the example or what it shows is defective.
  const limit = setTimeout(() => void child.kill(), 90_000)
  const code = await child.exited
  clearTimeout(limit)
  expect(code, child.output.join("\n")).toBe(0)
})

function run(args: readonly string[]): Promise<{ readonly code: number | null; readonly said: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] })
    let said = ""
    child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()))
    child.once("error", reject)
    child.once("close", (code) => resolve({ code, said }))
  })
}
