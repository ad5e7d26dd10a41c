import { afterEach } from "vitest"
import { type Host, type HostOptions, startHost } from "@dunlin/host"
import { connectClient, type SignalingClient } from "./signaling-client.ts"

export interface HostFixture {
  /** Starts a host on a free port that is closed after the test. */
  start(options?: HostOptions): Promise<Host>
  connect(host: Host, options?: Parameters<typeof connectClient>[1]): Promise<SignalingClient>
}

/** Hosts and clients of one test; call it once in a file. */
export function useHosts(): HostFixture {
  const hosts: Host[] = []
  const clients: SignalingClient[] = []
  afterEach(async () => {
    for (const client of clients.splice(0)) client.socket.terminate()
    await Promise.all(hosts.splice(0).map((host) => host.close()))
  })
  return {
    async start(options = {}) {
      // A test machine may be busy with other things; the refusal of sockets under load has a test of its own.
      const host = await startHost({ port: 0, host: "127.0.0.1", maxLoopLagMs: 60_000, ...options })
      hosts.push(host)
      return host
    },
    async connect(host, options) {
      const client = await connectClient(host.url, options)
      clients.push(client)
      return client
    },
  }
}

/** The value of one line of /metrics. */
export async function metric(host: Host, line: string): Promise<number> {
  const text = await (await fetch(`${host.operationsUrl}/metrics`)).text()
  const found = text.split("\n").find((candidate) => candidate.startsWith(`${line} `))
  return found === undefined ? 0 : Number(found.slice(line.length + 1))
}
