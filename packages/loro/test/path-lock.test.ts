import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdtemp, readdir, realpath, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, expect, test } from "vitest"

import { lockPath } from "../src/lmdb/path-lock.ts"

const HOLDER = fileURLToPath(new URL("lock-holder.ts", import.meta.url))
const OPENERS = 32

const path = await mkdtemp(join(tmpdir(), "dunlin-lock-"))
afterAll(() => rm(path, { recursive: true, force: true }))

/** How many get the lock at once. On a machine that is too busy for all of them nobody may get it; then the next one does. */
async function lockAtOnce(): Promise<number> {
  const results = await Promise.allSettled(Array.from({ length: OPENERS }, () => lockPath(path)))
  const held = results.filter((result) => result.status === "fulfilled")
  for (const { value } of held) await value()
  for (const result of results) {
    if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "store-in-use" })
  }
  return held.length
}

async function socketsLeft(): Promise<readonly string[]> {
  const name = createHash("sha256")
    .update(await realpath(path))
    .digest("hex")
  return (await readdir(tmpdir())).filter((file) => file.startsWith(`dunlin-${name.slice(0, 24)}`))
}

test("of many that open a directory at the same moment exactly one gets it", async () => {
  for (let round = 0; round < 4; round++) expect(await lockAtOnce()).toBeLessThanOrEqual(1)
  expect(await socketsLeft()).toEqual([])
})

test("of many that find the lock of a killed process exactly one gets it", async () => {
  for (let round = 0; round < 10; round++) {
    const holder = spawn(process.execPath, ["--conditions=@dunlin/source", "--import", "tsx", HOLDER, path])
    await new Promise((resolve) => holder.stdout.once("data", resolve))
    await expect(lockPath(path)).rejects.toMatchObject({ code: "store-in-use" })
    const gone = new Promise((resolve) => holder.once("exit", resolve))
    holder.kill("SIGKILL")
    await gone
    expect(await lockAtOnce()).toBeLessThanOrEqual(1)
    await (
      await lockPath(path)
    )()
  }
})

test("two directories are two locks, and one by another name is the same", async () => {
  const unlock = await lockPath(path)
  const other = await mkdtemp(join(path, "other-"))
  await (
    await lockPath(other)
  )()
  await expect(lockPath(join(other, ".."))).rejects.toMatchObject({ code: "store-in-use" })
  await unlock()
  await (
    await lockPath(path)
  )()
})
