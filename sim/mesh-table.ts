import { parseArgs } from "node:util"
import { type MeshResult, runMesh } from "./mesh.ts"

const USAGE = `npm run sim -- mesh [options]: rooms of many peers, each linked to a few, with peers that come and go
  --peers A,B,C   sizes of rooms (default 30,200)
  --readers A,B,C so many of each room may only read (default 0)
  --seed N        (default 1)
  --links N       links a peer may have (default 12)
  --writes N      writes that are measured (default 20)
  --churn N       peers that leave and are replaced while writes go on (default 10)
  --json          a line of JSON for each size instead of the table`

export interface MeasuredMesh extends MeshResult {
  readonly cpuSeconds: number
}

/** `npm run sim -- mesh`: what rooms of different sizes cost. Throws if a room does not come to rest. */
export async function printMeshTable(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      peers: { type: "string", default: "30,200" },
      readers: { type: "string", default: "" },
      seed: { type: "string", default: "1" },
      links: { type: "string", default: "12" },
      writes: { type: "string", default: "20" },
      churn: { type: "string", default: "10" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  })
  if (values.help) {
    console.log(USAGE)
    return
  }
  if (!values.json) console.log(headings.join("\n"))
  const readers = values.readers.split(",").map(Number)
  for (const [at, peers] of values.peers.split(",").map(Number).entries()) {
    const mesh = await measureMesh({
      seed: Number(values.seed),
      peers,
      readers: readers[at] ?? 0,
      maxLinks: Number(values.links),
      writes: Number(values.writes),
      churn: Number(values.churn),
    })
    console.log(values.json ? JSON.stringify(mesh) : meshRow(mesh))
  }
}

export async function measureMesh(options: Parameters<typeof runMesh>[0]): Promise<MeasuredMesh> {
  const before = process.cpuUsage()
  const result = await runMesh(options)
  const { user, system } = process.cpuUsage(before)
  return { ...result, cpuSeconds: (user + system) / 1e6 }
}

const headings: readonly string[] = [
  "| peers | readers | links mean / max | receptions | bytes a peer and write | hops mean / max | to reach all, p50 / max | presence to all | equal after churn | CPU |",
  "|---|---|---|---|---|---|---|---|---|---|",
]

function meshRow(mesh: MeasuredMesh): string {
  const { peers, readers, linksMean, linksMax, receptions, bytesPerPeerAndWrite, hops, reachMs, presenceMs } =
    mesh
  const cells = [
    peers,
    readers,
    `${linksMean.toFixed(1)} / ${linksMax}`,
    receptions.toFixed(3),
    Math.round(bytesPerPeerAndWrite),
    `${hops.mean.toFixed(1)} / ${hops.max}`,
    `${Math.round(reachMs.p50)} / ${Math.round(reachMs.max)} ms`,
    `${Math.round(presenceMs)} ms`,
    `${Math.round(mesh.convergedAfterMs)} ms`,
    `${Math.round(mesh.cpuSeconds)} s`,
  ]
  return `| ${cells.join(" | ")} |`
}
