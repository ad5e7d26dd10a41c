import { createHash, randomBytes } from "node:crypto"
import { readdir, realpath, rename, rm } from "node:fs/promises"
import { connect, createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

import { LoroReplicaError, reasonOf } from "../loro-replica-error.ts"

/** What a lock answers to a connection. */
type Stage = "trying" | "held"

/** "silent": the connection closed without an answer, as during an unlock. Asked again, the lock answers or is gone. */
type Heard = Stage | "silent"

const ANSWERS: Readonly<Record<Stage, string>> = { trying: "t", held: "h" }
/** A process that is too busy to answer in this time holds its lock all the same. */
const ANSWER_MS = 2_000
const LOOK_AGAIN_MS = 10
const PATIENCE_MS = 3_000

/**
 * Makes sure that a directory has one opener. The lock is a local socket: it ends with its process, however that
 * happens, and a file left behind refuses connections. Resolves to a function that unlocks.
 */
export async function lockPath(path: string): Promise<() => Promise<void>> {
  const name = createHash("sha256")
    .update(await realpath(path))
    .digest("hex")
    .slice(0, 24)
  return process.platform === "win32"
    ? lockPipe(path, `\\\\.\\pipe\\dunlin-${name}`)
    : lockSocket(path, `dunlin-${name}-`)
}

/** A named pipe leaves nothing behind. */
async function lockPipe(path: string, pipe: string): Promise<() => Promise<void>> {
  const server = await listen(pipe, () => "held")
  if (server === null) throw inUse(path)
  return () => closeServer(server)
}

/**
 * Each opener makes a socket with a name of its own, publishes it, and then looks for those of others. With one name for
 * all, two openers that find what a killed process left would both remove it, and the later one would remove the socket
 * that the earlier one has just made. Of two that publish at the same time, the one with the lower name waits until the
 * other has given up.
 */
async function lockSocket(path: string, prefix: string): Promise<() => Promise<void>> {
  // The kernel allows only short socket paths, so the sockets do not lie in the directory itself.
  const directory = tmpdir()
  const own = prefix + randomBytes(6).toString("hex")
  const socket = join(directory, own)
  let stage: Stage = "trying"
  // A new socket refuses connections at first, like one that was left behind: it is published once it answers.
  const server = await listen(`${socket}.new`, () => stage)
  if (server === null) throw inUse(path)
  const unlock = async (): Promise<void> => {
    await rm(socket, { force: true })
    await closeServer(server)
  }
  try {
    await rename(`${socket}.new`, socket)
    for (const until = performance.now() + PATIENCE_MS; ;) {
      const others = await lookAround(
        directory,
        (file) => file.startsWith(prefix) && isShown(file) && file !== own,
      )
      if (others.size === 0) break
      const mustYield = [...others].some(
        ([other, their]) => their === "held" || (their === "trying" && other < own),
      )
      if (mustYield || performance.now() > until) throw inUse(path)
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
    }
  } catch (cause) {
    await unlock()
    throw cause instanceof LoroReplicaError ? cause : failed(cause)
  }
  stage = "held"
  return unlock
}

function isShown(file: string): boolean {
  return !file.endsWith(".new")
}

async function lookAround(
  directory: string,
  isOther: (file: string) => boolean,
): Promise<ReadonlyMap<string, Heard>> {
  const files = (await readdir(directory)).filter(isOther)
  const stages = await Promise.all(files.map((file) => ask(join(directory, file))))
  const stagesByFile = new Map<string, Heard>()
  for (const [index, file] of files.entries()) {
    const stage = stages[index]
    if (stage === "left") await rm(join(directory, file), { force: true })
    else if (stage !== undefined && stage !== "gone") stagesByFile.set(file, stage)
  }
  return stagesByFile
}

/** "left" by a process that no longer runs. */
function ask(socket: string): Promise<Heard | "left" | "gone"> {
  return new Promise((resolve) => {
    const connection = connect(socket)
    connection.setTimeout(ANSWER_MS, () => {
      connection.destroy()
      resolve("held")
    })
    connection.once("data", (answer) => {
      connection.destroy()
      resolve(answer.toString() === ANSWERS.trying ? "trying" : "held")
    })
    connection.once("error", ({ code }: NodeJS.ErrnoException) => {
      if (code === "ECONNREFUSED") resolve("left")
      else if (code === "ENOENT") resolve("gone")
      // Any other failure to ask does not mean that the lock is gone.
      else resolve(code === "ECONNRESET" || code === "EPIPE" ? "silent" : "held")
    })
    connection.once("close", () => resolve("silent"))
  })
}

/** Null when somebody has the socket. */
function listen(socket: string, stage: () => Stage): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => {
      // The process that asked may be gone before the answer arrives.
      connection.on("error", () => connection.destroy())
      connection.end(ANSWERS[stage()], () => connection.destroy())
    })
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(null)
      else reject(failed(error))
    })
    server.listen(socket, () => {
      server.unref()
      resolve(server)
    })
  })
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}

function inUse(path: string): LoroReplicaError {
  return new LoroReplicaError(
    "store-in-use",
    `${path} is open already: close that replica, or use another directory`,
  )
}

function failed(cause: unknown): LoroReplicaError {
  return new LoroReplicaError("storage-failed", `cannot lock the store: ${reasonOf(cause)}`, { cause })
}
