import { spawn } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { lmdbStore } from "../src/lmdb/index.ts"
import { decodeRow } from "../src/replica/document-row.ts"
import { readState, sameHash } from "../src/replica/document-state.ts"
import { attachByHand } from "./hand-driven.ts"

export interface CrashReport {
  /** Words whose `saved()` had resolved. */
  readonly acknowledged: number
  /** Those of them that were missing when the store was opened after a kill, and rows that contradict their document. */
  readonly lost: readonly string[]
}

export interface CrashOptions {
  readonly kills: number
  readonly progress?: (kills: number) => void
}

const WRITER = fileURLToPath(new URL("crash-writer.ts", import.meta.url))

/** Kills a process that writes to an LMDB store in the middle of writes and compactions, again and again. */
export async function crashLmdbWriters({ kills, progress }: CrashOptions): Promise<CrashReport> {
  const path = await mkdtemp(join(tmpdir(), "dunlin-crash-"))
  const acknowledged = new Map<string, Set<number>>()
  const lost: string[] = []
  let highest = -1
  try {
    for (let round = 0; round < kills; round++) {
      const durability = round % 3 === 0 ? "strict" : "relaxed"
      const words = await writeUntilKilled(path, highest + 2, 20 + ((round * 397) % 1_500), durability)
      for (const [id, list] of words) {
        const known = acknowledged.get(id) ?? new Set()
        for (const word of list) {
          known.add(word)
          highest = Math.max(highest, word)
        }
        acknowledged.set(id, known)
      }
      lost.push(...(await findLost(path, acknowledged)).map((what) => `${what} after ${round + 1} kills`))
      progress?.(round + 1)
    }
    return { acknowledged: [...acknowledged.values()].reduce((sum, words) => sum + words.size, 0), lost }
  } finally {
    await rm(path, { recursive: true, force: true })
  }
}

/** Runs a writer and kills it `afterMs` after its first acknowledged word. Resolves to the words it acknowledged. */
async function writeUntilKilled(
  path: string,
  firstWord: number,
  afterMs: number,
  durability: string,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const child = spawn(
    process.execPath,
    ["--conditions=@dunlin/source", "--import", "tsx", WRITER, path, String(firstWord), durability],
    { stdio: ["ignore", "pipe", "inherit"] },
  )
  let output = ""
  let timer: NodeJS.Timeout | undefined
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString()
    timer ??= setTimeout(() => child.kill("SIGKILL"), afterMs)
  })
  await new Promise((resolve) => child.once("close", resolve))
  const wordsById = new Map<string, number[]>()
  // The last line may be torn.
  for (const line of output.split("\n").slice(0, -1)) {
    const [id = "", word = ""] = line.split(" ")
    wordsById.set(id, [...(wordsById.get(id) ?? []), Number(word)])
  }
  return wordsById
}

async function findLost(
  path: string,
  acknowledged: ReadonlyMap<string, ReadonlySet<number>>,
): Promise<readonly string[]> {
  const store = lmdbStore({ path })
  const opened = await store.open()
  const hashes = new Map((await opened.changes(0, 100)).map((row) => [row.id, decodeRow(row.bytes).hash]))
  await opened.close()
  const replica = await attachByHand({ name: "crash", store })
  const lost: string[] = []
  for (const [id, words] of acknowledged) {
    const document = await replica.docs.open(id)
    const text = document.doc.getText("body").toString()
    const found = new Set(
      text
        .trim()
        .split(" ")
        .map((word) => Number(word.split(":")[0])),
    )
    for (const word of words) if (!found.has(word)) lost.push(`${id} ${word}`)
    // The index row must match the document: both are written together or not at all.
    if (!sameHash(hashes.get(id) ?? null, readState(document.doc).hash)) lost.push(`the row of ${id}`)
  }
  lost.push(...replica.reports.map((report) => JSON.stringify(report)))
  await replica.attached.detach()
  return lost
}
