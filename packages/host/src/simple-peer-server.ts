/// <reference lib="esnext.disposable" preserve="true" />
import { type HostOptions, startHost } from "./start-host.ts"

/** What a signaling server started in RxDB's way hands back, and a way to end it. */
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
