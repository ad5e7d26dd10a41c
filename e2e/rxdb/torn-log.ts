import { appendFile, readdir, stat } from "node:fs/promises"
import { join } from "node:path"

const BLOCK_BYTES = 32_768
const HEADER_BYTES = 7

/** Adds to a dead Chromium's log what a kill between the two halves of a record leaves: only a header. */
export async function tearLog(profile: string): Promise<void> {
  const databases = join(profile, "Default", "IndexedDB")
  for (const origin of await readdir(databases)) {
    if (!origin.endsWith(".leveldb")) continue
    const logs = (await readdir(join(databases, origin))).filter((name) => name.endsWith(".log")).toSorted()
    const newest = logs.at(-1)
    if (newest === undefined) continue
    const log = join(databases, origin, newest)
    const left = BLOCK_BYTES - ((await stat(log)).size % BLOCK_BYTES)
    // The end of a block that is too short for a record is filled with zeros.
    const padding = left > HEADER_BYTES + 1 ? 0 : left
    const header = Buffer.alloc(padding + HEADER_BYTES)
    header.writeUInt32LE(0x12345678, padding)
    header.writeUInt16LE(Math.min(64, (padding === 0 ? left : BLOCK_BYTES) - HEADER_BYTES), padding + 4)
    header.writeUInt8(1, padding + 6)
    await appendFile(log, header)
  }
}
