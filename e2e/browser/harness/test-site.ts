import { readdir, readFile } from "node:fs/promises"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { extname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "vite"
import type { Plugin } from "vite"

/** A page made of one TypeScript module, whose exports become `globalThis.testPage`. */
export interface TestSite {
  readonly url: string
  /** Content by path, for browsers that cannot reach this server and are served by interception. */
  readonly files: ReadonlyMap<string, SiteFile>
  close(): Promise<void>
}

export interface SiteFile {
  readonly contentType: string
  readonly body: Buffer
}

const ENTRY = "virtual:test-page"
const PAGE = `<!doctype html><meta charset="utf-8"><title>Dunlin test page</title><link rel="icon" href="data:,"><body><script type="module" src="/page.js"></script>`
const CONTENT_TYPES: Record<string, string> = {
  ".js": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
  ".html": "text/html; charset=utf-8",
}

/** Bundles `entry` from source and serves it on loopback, which browsers treat as a secure context. */
export async function serveTestSite({ entry }: { readonly entry: URL }): Promise<TestSite> {
  return serveFiles(await bundle(fileURLToPath(entry)))
}

/** Serves a folder that has been built before, on loopback. */
export async function serveFolder(folder: string): Promise<TestSite> {
  const files = new Map<string, SiteFile>()
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const name = relative(folder, path).replaceAll("\\", "/")
    files.set(name === "index.html" ? "/" : `/${name}`, siteFile(name, await readFile(path)))
  }
  return serveFiles(files)
}

async function serveFiles(files: ReadonlyMap<string, SiteFile>): Promise<TestSite> {
  const server = createServer((request, response) => {
    const file = files.get(new URL(request.url ?? "/", "http://127.0.0.1").pathname)
    if (file === undefined) {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, { "content-type": file.contentType, "cache-control": "no-store" }).end(file.body)
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(0, "127.0.0.1", resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    files,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

async function bundle(entryPath: string): Promise<ReadonlyMap<string, SiteFile>> {
  const result = await build({
    configFile: false,
    root: fileURLToPath(new URL(".", import.meta.url)),
    logLevel: "error",
    publicDir: false,
    plugins: [testPageEntry(entryPath)],
    define: { "process.env.NODE_ENV": '"development"' },
    resolve: { conditions: ["@dunlin/source", "module", "browser", "import", "default"] },
    build: {
      write: false,
      minify: false,
      target: "esnext",
      modulePreload: false,
      rolldownOptions: { input: ENTRY, output: { entryFileNames: "page.js" } },
    },
  })
  if (!("output" in result)) throw new Error("Vite returned no single bundle for a test page.")
  const files = new Map<string, SiteFile>([["/", siteFile("index.html", PAGE)]])
  for (const output of result.output) {
    files.set(
      `/${output.fileName}`,
      siteFile(output.fileName, output.type === "chunk" ? output.code : output.source),
    )
  }
  return files
}

function testPageEntry(entryPath: string): Plugin {
  return {
    name: "dunlin-test-page",
    resolveId: (id) => (id === ENTRY ? `\0${ENTRY}` : null),
    load: (id) =>
      id === `\0${ENTRY}`
        ? `import * as page from ${JSON.stringify(entryPath)}\nglobalThis.testPage = { ...page }\n`
        : null,
  }
}

function siteFile(name: string, body: string | Uint8Array): SiteFile {
  return {
    contentType: CONTENT_TYPES[extname(name)] ?? "application/octet-stream",
    body: Buffer.from(body),
  }
}
