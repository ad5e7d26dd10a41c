/// <reference lib="esnext.disposable" preserve="true" />
import { type HostOptions, startHost } from "./start-host.ts"

/** What RxDB's function for starting a signaling server returns, and a way to stop the server. */
export interface SimplePeerSignalingServer extends AsyncDisposable {
  readonly port: number
  readonly localUrl: string
  close(): Promise<void>
}

/**
 * Starts a host under the name and in the shape of RxDB's signaling server. It speaks Dunlin's protocol: clients
 * use `getConnectionHandlerSimplePeer` of `@dunlin/rxdb`.
 */
export async function startSignalingServerSimplePeer(
  options: { readonly port: number } & HostOptions,
): Promise<SimplePeerSignalingServer> {
  const host = await startHost({ operationsPort: "off", ...options })
  return {
    port: host.port,
    localUrl: host.url,
    close: host.close,
    [Symbol.asyncDispose]: host.close,
  }
}
