import { launchChromium } from "./harness/chromium.ts"
import type { ChromiumOptions, ChromiumProfile } from "./harness/chromium.ts"
import { spawnPeer } from "./harness/child-peer.ts"
import type { ChildPeer, PeerLimits } from "./harness/child-peer.ts"
import type { ChildOptions } from "./harness/child-process.ts"
import { launchFirefox } from "./harness/firefox.ts"
import type { FirefoxProfile } from "./harness/firefox.ts"
import { startHostProcess } from "./harness/host-process.ts"
import type { HostOptions, HostProcess } from "./harness/host-process.ts"
import { createNetwork } from "./harness/network.ts"
import type { NatKind, Network } from "./harness/network.ts"
import { serveTestSite } from "./harness/test-site.ts"
import type { TestSite } from "./harness/test-site.ts"
import { startTurnServer } from "./harness/turn-server.ts"
import type { TurnServer, TurnServerOptions } from "./harness/turn-server.ts"

/**
 * Starts real browsers, servers and peers for a test, and ends them all in `close`, last started first.
 *
 * ```
 * await using harness = createHarness()
 * const site = await harness.site(new URL("./room-page.ts", import.meta.url))
 * const ada = await (await harness.chromium()).open<typeof import("./room-page.ts")>(site)
 * await ada.call("write", "key", "value") // runs in the page; JSON both ways
 * ```
 */
export interface Harness extends AsyncDisposable {
  /** Bundles and serves a page whose module is `entry`. Its exports are what `call` reaches. */
  site(entry: URL): Promise<TestSite>
  /** A Chromium with a profile of its own. */
  chromium(options?: ChromiumOptions): Promise<ChromiumProfile>
  /** Call `findFirefox()` first; without a Firefox this rejects. */
  firefox(): Promise<FirefoxProfile>
  /** `packages/host` in a process of its own. */
  host(options?: HostOptions): Promise<HostProcess>
  /** A module in a Node process of its own. */
  peer<Exports>(module: URL, options?: ChildOptions): Promise<ChildPeer<Exports>>
  /** Hosts in network namespaces. Call `networkProblem()` first; if there is a problem, this rejects. */
  network(hosts: Readonly<Record<string, NatKind>>): Promise<Network>
  /** Call `turnServerProblem()` first; if there is a problem, this rejects. */
  turnServer(options?: TurnServerOptions): Promise<TurnServer>
  /** Idempotent. */
  close(): Promise<void>
}

/** `limits` is for children whose calls take longer than those of tests may. */
export function createHarness(limits?: PeerLimits): Harness {
  const owned: { close(): Promise<void> }[] = []
  let closing: Promise<void> | null = null

  const own = async <Thing extends { close(): Promise<void> }>(starting: Promise<Thing>): Promise<Thing> => {
    const thing = await starting
    owned.push(thing)
    return thing
  }
  const closeAll = async (): Promise<void> => {
    const failures: unknown[] = []
    for (let thing = owned.pop(); thing !== undefined; thing = owned.pop()) {
      try {
        await thing.close()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0)
      throw new AggregateError(failures, "Not everything the harness started could be ended.")
  }
  const close = (): Promise<void> => (closing ??= closeAll())

  return {
    site: (entry) => own(serveTestSite({ entry })),
    chromium: (options) => own(launchChromium(options)),
    firefox: () => own(launchFirefox()),
    host: (options) => own(startHostProcess(options)),
    peer: <Exports>(module: URL, options?: ChildOptions) => own(spawnPeer<Exports>(module, options, limits)),
    network: (hosts) => own(createNetwork(hosts)),
    turnServer: (options) => own(startTurnServer(options)),
    close,
    [Symbol.asyncDispose]: close,
  }
}
