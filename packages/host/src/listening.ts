import type { Server } from "node:http"
import type { AddressInfo } from "node:net"
import { HostError } from "./host-error.ts"

/** Where to listen, and the settings that say so. */
export interface ListenAddress {
  readonly port: number
  readonly portSetting: string
  /** Empty means every address. */
  readonly host: string
  readonly hostSetting: string
}

/** Listens, or throws a `HostError` that names the setting. */
export function listen(server: Server, address: ListenAddress): Promise<AddressInfo> {
  const { port, host } = address
  return new Promise((resolve, reject) => {
    let listening = false
    server.on("error", (cause: NodeJS.ErrnoException) => {
      // A later error is a connection that could not be accepted for lack of memory: only its client is affected.
      if (!listening) reject(refusal(address, cause))
    })
    server.listen({ port, backlog: 4096, ...(host === "" ? {} : { host }) }, () => {
      listening = true
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

const addressErrors: ReadonlySet<string | undefined> = new Set(["ENOTFOUND", "EAI_AGAIN", "EADDRNOTAVAIL"])

function refusal(
  { port, portSetting, host, hostSetting }: ListenAddress,
  cause: NodeJS.ErrnoException,
): HostError {
  if (cause.code === "EADDRINUSE") {
    const message = `${portSetting}: port ${port} is in use; choose another`
    return new HostError("address-in-use", message, { cause })
  }
  const message = addressErrors.has(cause.code)
    ? `${hostSetting}: ${host} is not an address of this machine; name one that it has`
    : `${portSetting}: cannot listen on port ${port}: ${cause.message}`
  return new HostError("cannot-listen", message, { cause })
}
