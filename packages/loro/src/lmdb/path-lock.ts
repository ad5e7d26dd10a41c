import { createHash } from "node:crypto"
import { realpath, rm } from "node:fs/promises"
import { connect, createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

import { LoroReplicaError } from "../loro-replica-error.ts"

/**
 * Makes sure that one opener has a directory. The lock is a local socket: it goes with its process, however that
 * ends, and what is left of it refuses connections. Resolves to the function that unlocks.
 */
export async function lockPath(path: string): Promise<() => Promise<void>> {
  const name = createHash("sha256")
    .update(await realpath(path))
    .digest("hex")
    .slice(0, 32)
  // Socket paths are short by law of the kernel, so it does not lie in the directory itself.
  const socket =
    process.platform === "win32" ? `\\\\.\\pipe\\dunlin-${name}` : join(tmpdir(), `dunlin-${name}.sock`)
  for (let attempt = 0; attempt < 3; attempt++) {
    const server = await listen(socket)
    if (server !== null) return () => closeServer(server)
    if (await answers(socket)) break
    await rm(socket, { force: true })
  }
  throw new LoroReplicaError(
    "store-in-use",
    `${path} is open already: close that replica, or use another directory`,
  )
}

/** Null when somebody has, or left, the socket. */
function listen(socket: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => connection.destroy())
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(null)
      else
        reject(
          new LoroReplicaError("storage-failed", `cannot lock the store: ${error.message}`, { cause: error }),
        )
    })
    server.listen(socket, () => {
      server.unref()
      resolve(server)
    })
  })
}

function answers(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket)
    connection.once("connect", () => {
      connection.destroy()
      resolve(true)
    })
    connection.once("error", () => resolve(false))
  })
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}
