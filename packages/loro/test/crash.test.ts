import { spawn } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"

import { lmdbStore } from "../src/lmdb/index.ts"
import { readState, sameHash } from "../src/replica/document-state.ts"
import { decodeRow } from "../src/replica/document-row.ts"
import { attachByHand } from "./hand-driven.ts"

const WRITER = fileURLToPath(new URL("crash-writer.ts", import.meta.url))
const ROUNDS = 8

/** Runs a writer and kills it `afterMs` after its first acknowledged word; resolves to what it acknowledged. */
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

test("a process killed in the middle of writes and compactions loses nothing it acknowledged", async () => {
  const path = await mkdtemp(join(tmpdir(), "dunlin-crash-"))
  const acknowledged = new Map<string, Set<number>>()
  let highest = -1
  try {
    for (let round = 0; round < ROUNDS; round++) {
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
      await check(path, acknowledged)
    }
    expect(highest).toBeGreaterThan(ROUNDS * 20)
  } finally {
    await rm(path, { recursive: true, force: true })
  }
})

async function check(path: string, acknowledged: ReadonlyMap<string, ReadonlySet<number>>): Promise<void> {
  const store = lmdbStore({ path })
  const opened = await store.open()
  const hashes = new Map((await opened.changes(0, 100)).map((row) => [row.id, decodeRow(row.bytes).hash]))
  await opened.close()
  const replica = await attachByHand({ name: "crash", store })
  for (const [id, words] of acknowledged) {
    const document = await replica.docs.open(id)
    const found = new Set(
      document.doc
        .getText("body")
        .toString()
        .trim()
        .split(" ")
        .map((word) => Number(word.split(":")[0])),
    )
    expect([...words].filter((word) => !found.has(word))).toEqual([])
    // The index row says what the document is: written together or not at all.
    expect(sameHash(hashes.get(id) ?? null, readState(document.doc).hash)).toBe(true)
  }
  expect(replica.reports).toEqual([])
  await replica.attached.detach()
}
