// `npm run bench -- sizes`: what a page loads, minified and gzipped, without what the application itself brings.
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { build } from "esbuild"
import { createFigures } from "./figures.ts"

const figures = createFigures("sizes")

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
  figures.begin()
  const rows: Record<string, { readonly "KB gzip": number }> = {}
  for (const [page, source] of Object.entries(PAGES)) {
    const bytes = await gzippedBytes(source)
    figures.add({ suite: "sizes", page, bytes })
    rows[page] = { "KB gzip": Number((bytes / 1_000).toFixed(1)) }
  }
  console.table(rows)
  console.log(`JSON lines: ${figures.file}`)
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
