// `npm run bench -- sizes`: what a page loads, minified and gzipped, without what the application itself brings.
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { build } from "esbuild"

const OUT = fileURLToPath(new URL("out/sizes.jsonl", import.meta.url))

const ROOM = `
  export { createInvite, openRoom } from "@dunlin/core"
  export { webrtc } from "@dunlin/core/webrtc"
  export { tabs } from "@dunlin/core/tabs"
`
const RXDB = `export { createRxDatabase } from "rxdb/plugins/core"`
const RXDB_WEBRTC = `export { getConnectionHandlerSimplePeer, replicateWebRTC } from "rxdb/plugins/replication-webrtc"`

/** By the name that the table shows. */
const PAGES = {
  "rooms, WebRTC and tabs": ROOM,
  RxDB: RXDB,
  "RxDB with Dunlin": `${ROOM} ${RXDB}; export { rxdbReplica } from "@dunlin/rxdb"`,
  "RxDB with its WebRTC plugin": `${RXDB}; ${RXDB_WEBRTC}`,
  "Yjs with y-webrtc": `export * from "yjs"; export { WebrtcProvider } from "y-webrtc"`,
} as const

export async function run(): Promise<void> {
  mkdirSync(fileURLToPath(new URL("out", import.meta.url)), { recursive: true })
  writeFileSync(OUT, "")
  const rows: Record<string, { readonly "KB gzip": number }> = {}
  for (const [page, source] of Object.entries(PAGES)) {
    const bytes = await gzippedBytes(source)
    appendFileSync(OUT, `${JSON.stringify({ suite: "sizes", page, bytes })}\n`)
    rows[page] = { "KB gzip": Number((bytes / 1_000).toFixed(1)) }
  }
  console.table(rows)
  console.log("JSON lines: bench/out/sizes.jsonl")
}

async function gzippedBytes(source: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: fileURLToPath(new URL(".", import.meta.url)) },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "browser",
    conditions: ["@dunlin/source"],
    external: ["node:*", "ws"],
    // Needed by simple-peer, which the other packages bundle.
    define: { global: "globalThis" },
    logLevel: "error",
  })
  return gzipSync(outputFiles[0]?.contents ?? new Uint8Array(0), { level: 9 }).length
}
