import { execFile } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { expect, test } from "vitest"

import { lmdbStore } from "../src/lmdb/index.ts"
import { attachByHand } from "./hand-driven.ts"

const WRITER = fileURLToPath(new URL("full-disk-writer.ts", import.meta.url))

/** What the writer prints when no file may grow beyond a few megabytes. */
async function writeUntilFull(
  path: string,
  durability: string,
): Promise<{ readonly acknowledged: number; readonly heard: readonly string[] }> {
  const node = [process.execPath, "--conditions=@dunlin/source", "--import", "tsx", WRITER, path, durability]
  // Without the trap the kernel ends the process instead of refusing the write.
  const script = `trap "" XFSZ; ulimit -f 6000; exec "$@"`
  const { stdout } = await promisify(execFile)("sh", ["-c", script, "sh", ...node])
  return JSON.parse(stdout) as { readonly acknowledged: number; readonly heard: readonly string[] }
}

test.skipIf(process.platform === "win32").each(["strict", "relaxed"])(
  "a full disk is told, ends nothing, and loses nothing that was acknowledged before (%s)",
  { timeout: 60_000 },
  async (durability) => {
    const path = await mkdtemp(join(tmpdir(), "dunlin-full-"))
    try {
      const { acknowledged, heard } = await writeUntilFull(path, durability)
      expect(heard).toEqual(Array(5).fill("storage-failed"))
      expect(acknowledged).toBeGreaterThan(50)
      const replica = await attachByHand({ name: "full", store: lmdbStore({ path }) })
      const document = await replica.docs.open("x")
      const words = document.doc
        .getText("body")
        .toString()
        .split(" ")
        .filter((word) => /^\d+:$/.test(word))
      expect(words.slice(0, acknowledged)).toEqual(
        Array.from({ length: acknowledged }, (_, word) => `${word}:`),
      )
      await document.close()
      await replica.attached.detach()
    } finally {
      await rm(path, { recursive: true, force: true })
    }
  },
)
