import type { Server } from "node:http"
import type { AddressInfo } from "node:net"
import { HostError } from "./host-error.ts"

/** Listens, or throws a `HostError` that names the setting. `host` empty is every address. */
export function listen(server: Server, port: number, host: string, setting: string): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException): void => {
      const taken = cause.code === "EADDRINUSE"
      reject(
        new HostError(
          taken ? "address-in-use" : "cannot-listen",
          taken
            ? `${setting}: port ${port} is in use; choose another`
            : `${setting}: cannot listen on port ${port}: ${cause.message}`,
          { cause },
        ),
      )
    }
    server.once("error", failed)
    server.listen({ port, backlog: 4096, ...(host === "" ? {} : { host }) }, () => {
      server.off("error", failed)
      resolve(server.address() as AddressInfo)
    })
  })
}

export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
