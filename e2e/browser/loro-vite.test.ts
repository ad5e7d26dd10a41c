import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { chromium, type Browser } from "playwright-core"
import { build, createServer, preview, type InlineConfig } from "vite"
import { afterAll, beforeAll, expect, test } from "vitest"
import { findChromium } from "./harness/find-browser.ts"

// An application as in the guide: it loads Loro on demand, and the bundler needs one setting.
const MAIN = `
document.title = "before Loro"
const { loroReplica, indexedDbStore } = await import("@dunlin/loro")
const { LoroDoc } = await import("loro-crdt")
const attached = await loroReplica({ name: "notes", store: indexedDbStore("vite") }).attach({
  roomTag: new Uint8Array(32), device: "ab".repeat(32), changed() {}, report() {}, released() {},
  synced: () => Promise.resolve(), links: { get: () => new Map(), subscribe: () => () => {} },
})
const note = await attached.handle.open("welcome")
const text = note.doc.getText("body")
if (text.length === 0) text.insert(0, "Hello, flock!")
await note.saved()
document.body.textContent = text.toString() + (note.doc instanceof LoroDoc ? " one Loro" : " two Loros")
`

let folder: string
let browser: Browser
beforeAll(async () => {
  // Inside the repository, so that packages resolve as they do for an application.
  const parent = fileURLToPath(new URL("../../.e2e", import.meta.url))
  await mkdir(parent, { recursive: true })
  folder = await mkdtemp(join(parent, "loro-vite-"))
  await writeFile(
    join(folder, "index.html"),
    '<!doctype html><link rel="icon" href="data:,"><body><script type="module" src="/main.js"></script>',
  )
  await writeFile(join(folder, "main.js"), MAIN)
  const executablePath = findChromium()
  if (executablePath === null)
    throw new Error("No Chromium, Chrome or Edge found. Install one, or name it in DUNLIN_CHROMIUM.")
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] })
})
afterAll(async () => {
  await browser.close()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

function settings(): InlineConfig {
  return {
    configFile: false,
    root: folder,
    logLevel: "error",
    cacheDir: join(folder, "cache"),
    resolve: { conditions: ["@dunlin/source", "module", "browser", "development|production"] },
    server: { port: 0, fs: { allow: [fileURLToPath(new URL("../..", import.meta.url))] } },
    preview: { port: 0 },
    build: { target: "es2023", outDir: join(folder, "dist") },
    // The one setting that the guide names.
    optimizeDeps: { exclude: ["loro-crdt"] },
  }
}

async function visit(url: string): Promise<string> {
  const context = await browser.newContext()
  const page = await context.newPage()
  const errors: string[] = []
  page.on("pageerror", (error) => errors.push(error.message))
  await page.goto(url)
  await page
    .waitForFunction("document.body.textContent.includes('Loro')", undefined, { timeout: 60_000 })
    .catch(() => undefined)
  const shown = (await page.textContent("body"))?.trim() ?? ""
  await page.reload()
  await page
    .waitForFunction("document.body.textContent.includes('Loro')", undefined, { timeout: 60_000 })
    .catch(() => undefined)
  const again = (await page.textContent("body"))?.trim() ?? ""
  await context.close()
  expect(errors).toEqual([])
  expect(again).toBe(shown)
  return shown
}

test("a page loads Loro lazily from Vite's development server", async () => {
  const server = await createServer(settings())
  try {
    await server.listen()
    expect(await visit(server.resolvedUrls?.local[0] ?? "")).toBe("Hello, flock! one Loro")
  } finally {
    await server.close()
  }
})

test("a page loads Loro lazily from Vite's production build", async () => {
  await build(settings())
  const server = await preview(settings())
  try {
    expect(await visit(server.resolvedUrls?.local[0] ?? "")).toBe("Hello, flock! one Loro")
  } finally {
    await server.close()
  }
})
