// Installs the packages as a user gets them, and runs what README.md and the guides show, outside the repository.
//   node --conditions=@dunlin/source --import tsx scripts/fresh-user.ts [--node 20.19.0]... [--keep]
import { execFile } from "node:child_process"
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import type { Page } from "playwright-core"
import { createHarness } from "../e2e/browser/harness.ts"
import { findChromium } from "../e2e/browser/harness/find-browser.ts"
import { serveFolder } from "../e2e/browser/harness/test-site.ts"
import { NAMED_SERVERS, readDocsPrograms } from "./docs-programs.ts"
import type { DocsProgram } from "./docs-programs.ts"
import { concludeSteps, ROOT, runStep, tool } from "./run-step.ts"
import type { StepResult } from "./run-step.ts"

/** What the pages tell their readers to install beside Dunlin. */
const COMPANIONS = [
  "rxdb",
  "rxjs",
  "loro-crdt",
  "node-datachannel",
  "ws",
  "lmdb",
  "react",
  "react-dom",
  "@types/react",
  "@codemirror/state",
  "@codemirror/view",
  "@types/react-dom",
  "vite",
  "typescript",
]
const NODE_LIMIT_MS = 120_000

const execute = promisify(execFile)
const nodeVersions = process.argv.flatMap((arg, index, all) =>
  arg === "--node" ? [all[index + 1] ?? ""] : [],
)
const results: StepResult[] = []
const folder = await mkdtemp(join(tmpdir(), "dunlin-fresh-user-"))
const harness = createHarness()

try {
  results.push(await runStep("build", tool("typescript/bin/tsc", "-b", "tsconfig.build.json")))
  await timed("install", install)
  const host = await harness.host()
  const programs = readDocsPrograms(ROOT).map((program) => ({
    ...program,
    code: program.code.replaceAll(NAMED_SERVERS, host.url),
  }))
  await timed("types", () => compile(programs))
  for (const node of [process.execPath, ...(await Promise.all(nodeVersions.map(installNode)))]) {
    const { stdout } = await execute(node, ["--version"])
    for (const { name } of programs.filter(({ kind }) => kind === "runs")) {
      await timed(`${name} on ${stdout.trim()}`, () => runCompiled(node, name))
    }
  }
  if (findChromium() === null) console.log("skipped: no Chromium for the pages")
  else {
    for (const program of programs.filter(({ kind }) => kind === "page")) {
      await timed(`${program.name} in a page`, () => openPage(program))
    }
  }
} finally {
  await harness.close()
  if (process.argv.includes("--keep")) console.log(`Kept ${folder}`)
  else await rm(folder, { recursive: true, force: true })
}
concludeSteps("fresh user", results)

async function timed(name: string, step: () => Promise<void>): Promise<void> {
  console.log(`\n── ${name}`)
  const started = performance.now()
  let passed = true
  try {
    await step()
  } catch (error) {
    passed = false
    console.error(describe(error))
  }
  results.push({ name, passed, seconds: (performance.now() - started) / 1000 })
}

/** Packs every package and installs the archives into an empty project. */
async function install(): Promise<void> {
  const archives: string[] = []
  const versions = await installedVersions()
  for (const name of await readdir(join(ROOT, "packages"))) {
    const { stdout } = await execute("npm", ["pack", "--json", "--pack-destination", folder], {
      cwd: join(ROOT, "packages", name),
    })
    const [packed] = JSON.parse(stdout) as { filename: string }[]
    if (packed !== undefined) archives.push(join(folder, packed.filename))
  }
  await writeFile(
    join(folder, "package.json"),
    JSON.stringify({ name: "fresh", private: true, type: "module" }),
  )
  await execute(
    "npm",
    [
      "install",
      "--no-audit",
      "--no-fund",
      ...archives,
      ...COMPANIONS.map((name) => `${name}@${versions.get(name)}`),
    ],
    { cwd: folder, maxBuffer: 1 << 26 },
  )
}

/** The versions this repository is tested with, from its own node_modules. */
async function installedVersions(): Promise<ReadonlyMap<string, string>> {
  const versions = new Map<string, string>()
  for (const name of COMPANIONS) {
    const manifest = await readFile(join(ROOT, "node_modules", name, "package.json"), "utf8")
    versions.set(name, (JSON.parse(manifest) as { version: string }).version)
  }
  return versions
}

/** Type-checks every program, including the packages' declarations, and emits what is run. */
async function compile(programs: readonly DocsProgram[]): Promise<void> {
  await mkdir(join(folder, "src"), { recursive: true })
  for (const { name, language, code } of programs)
    await writeFile(join(folder, "src", `${name}.${language}`), `${code}\nexport {}\n`)
  const config = {
    compilerOptions: {
      target: "ES2023",
      module: "NodeNext",
      lib: ["ES2023", "DOM", "DOM.Iterable", "ESNext.Disposable"],
      types: [],
      jsx: "react-jsx",
      strict: true,
      skipLibCheck: false,
      rootDir: "src",
      outDir: "out",
    },
    include: ["src"],
  }
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config))
  const tsc = [join(folder, "node_modules/typescript/bin/tsc"), "-p", ".", "--pretty", "false"]
  const said = await execute(process.execPath, tsc, { cwd: folder }).then(
    () => "",
    (error: unknown) => (error as { stdout?: string }).stdout ?? describe(error),
  )
  // Declarations of other packages may have faults of their own; those of Dunlin and the programs may not.
  const faults = said.split("\n").filter((line) => line.includes("error TS"))
  const ours = faults.filter(
    (line) => !line.startsWith("node_modules/") || line.startsWith("node_modules/@dunlin/"),
  )
  console.log(`${faults.length - ours.length} faults in declarations of other packages`)
  if (ours.length > 0) throw new Error(said)
}

async function runCompiled(node: string, name: string): Promise<void> {
  const { stdout } = await execute(node, [join("out", `${name}.js`)], { cwd: folder, timeout: NODE_LIMIT_MS })
  console.log(stdout.trimEnd())
}

/** Builds a program with Vite's defaults, opens it in Chromium, and fails on any complaint. */
async function openPage({ name, language, code }: DocsProgram): Promise<void> {
  const page = join(folder, "pages", name)
  await mkdir(page, { recursive: true })
  await writeFile(
    join(page, "index.html"),
    `<!doctype html><title>${name}</title><link rel="icon" href="data:,"><script type="module" src="./main.ts"></script>`,
  )
  // The last line is only reached if every wait before it has ended.
  await writeFile(
    join(page, "main.ts"),
    `import "../../src/${name}.${language}"\ndocument.title = "reached the end"\n`,
  )
  await execute(
    process.execPath,
    [join(folder, "node_modules/vite/bin/vite.js"), "build", page, "--outDir", "built"],
    {
      cwd: folder,
    },
  )
  const site = await serveFolder(join(page, "built"))
  const complaints: string[] = []
  const tabs: Page[] = []
  const open = async (hash: string): Promise<Page> => {
    const tab = await (await harness.chromium()).context.newPage()
    tabs.push(tab)
    tab.on("pageerror", (error) => complaints.push(error.stack ?? error.message))
    tab.on("console", (message) => message.type() === "error" && complaints.push(message.text()))
    await tab.goto(`${site.url}${hash}`)
    return tab
  }
  try {
    const first = await open("")
    if (/location\.(hash =|href\}#)/.test(code)) {
      // The program shows an invite link, or puts it into its address: a second device follows it.
      const invite = await first.waitForFunction(
        "(location.hash || document.body.innerText).match(/#\\S{20,}/)?.[0]",
        undefined,
        { timeout: NODE_LIMIT_MS },
      )
      await open(String(await invite.jsonValue()))
    }
    for (const tab of tabs) {
      await tab.waitForFunction(`document.title === "reached the end"`, undefined, { timeout: NODE_LIMIT_MS })
    }
  } catch (error) {
    complaints.push(describe(error))
  } finally {
    await Promise.all(tabs.map((tab) => tab.context().close()))
    await site.close()
  }
  if (complaints.length > 0) throw new Error(complaints.join("\n"))
}

/** The npm package `node` brings any version of Node for this platform. */
async function installNode(version: string): Promise<string> {
  const place = await mkdtemp(join(folder, "node-"))
  await execute("npm", ["install", "--no-audit", "--no-fund", "--prefix", place, `node@${version}`])
  return join(place, "node_modules/node/bin/node")
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string }
  return [error.message, stdout, stderr].filter((part) => part !== "").join("\n")
}
