/// <reference lib="esnext.disposable" preserve="true" />
import { systemClock, systemRandom } from "@dunlin/core"
import { createAddressLimits } from "./address-limits.ts"
import { createAddressReader } from "./client-address.ts"
import { createHostCluster, type HostCluster } from "./cluster/host-cluster.ts"
import { createNatsLink } from "./cluster/nats-link.ts"
import type { Connection } from "./connection.ts"
import { watchConnections } from "./connection-watch.ts"
import { awaitHandover, drainConnections } from "./drain.ts"
import { createCounters } from "./host-counters.ts"
import { createHostLog, placeOfFault } from "./host-log.ts"
import { createHostMetrics } from "./host-metrics.ts"
import type { HostSettings } from "./host-settings.ts"
import { createIceDesk } from "./ice-desk.ts"
import { createIceIssuer } from "./ice-issuer.ts"
import { type AuthorizeJoin, createJoinAuthority } from "./join-authority.ts"
import { closeServer, listen } from "./listening.ts"
import { createOperationsServer } from "./operations-server.ts"
import { parseSettings } from "./parse-settings.ts"
import { createJoinDesk } from "./join-desk.ts"
import { createSessionReplies } from "./session-replies.ts"
import { createProcessLoad } from "./process-load.ts"
import { readSecret, readSettingFile, readTlsFiles } from "./setting-files.ts"
import { createSignalingSessions } from "./signaling-session.ts"
import { createSocketServer } from "./socket-server.ts"
import { createTcpAdmission } from "./tcp-admission.ts"
import { createTokenVerifier } from "./token-verifier.ts"
import { createTopicDirectory } from "./topic-directory.ts"
import { createUpgradeGate } from "./upgrade-gate.ts"

type HostOptionsOfSettings = { readonly [Key in keyof HostSettings]?: HostSettings[Key] | undefined }

/**
 * Settings as `dunlin-host --help` lists them, and the host's own rule for joins. All are optional, and undefined, such as
 * an environment variable that is not set, leaves the default.
 */
export interface HostOptions extends HostOptionsOfSettings {
  /** Decides on each join once the token is verified, and on each renewal before its answer or the token expires. */
  readonly authorizeJoin?: AuthorizeJoin | undefined
}

/** A host that accepts sockets. It keeps the process alive until it is closed. */
export interface Host extends AsyncDisposable {
  /** The URL that clients connect to, as seen from this machine. */
  readonly url: string
  /** The port it listens on, also when the setting `port` was 0. */
  readonly port: number
  /** Where /healthz, /readyz and /metrics are, or null. */
  readonly operationsUrl: string | null
  /** What the host holds at this moment; /metrics says more. */
  stats(): HostStats
  /** Says goodbye to everyone, closes the sockets one by one over `drainMs`, then closes the host. Idempotent. */
  drain(): Promise<void>
  /** Says goodbye and closes at once. Idempotent. */
  close(): Promise<void>
  /**
   * Reads the certificate and key again without touching open sockets. Throws `HostError` and keeps the old ones when
   * that fails; does nothing without TLS.
   */
  reloadTls(): void
}

/** Counts of one host; in a cluster every host has its own. */
export interface HostStats {
  readonly sockets: number
  /** Rooms with a member on this host. */
  readonly topics: number
  /** Sessions in those rooms: a socket may be in several, and a broken one counts for `graceMs` more. */
  readonly members: number
  /** Bytes written to sockets and not yet taken by the network. */
  readonly bufferedBytes: number
}

/** Starts a signaling host. Throws `HostError` when a setting is wrong or a port is not available. */
export async function startHost(options: HostOptions = {}): Promise<Host> {
  const { authorizeJoin = null, ...raw } = options
  const settings = parseSettings(raw)
  const clock = systemClock()
  const random = systemRandom()
  const { logger, alias } = createHostLog(settings.logLevel, random)
  const counters = createCounters()
  const connections = new Set<Connection>()
  let phase: "open" | "draining" | "closed" = "open"

  const tls = readTlsFiles(settings)
  const verifier =
    settings.jwtAlgorithm === ""
      ? null
      : createTokenVerifier({
          algorithm: settings.jwtAlgorithm,
          key: readSecret("jwtKey", settings.jwtKey, settings.jwtKeyFile),
          audience: settings.jwtAudience,
          issuer: settings.jwtIssuer === "" ? null : settings.jwtIssuer,
          maxLifetimeSeconds: settings.jwtMaxLifetimeSeconds,
          now: clock.now,
        })
  const ice = createIceIssuer({
    ...settings,
    turnSecret: readSecret("turnSecret", settings.turnSecret, settings.turnSecretFile),
    clock,
    random,
  })
  // Fresh at each start even if the name is set: what a host said before it died no longer holds.
  const node = `${settings.clusterNode || "host"}-${Buffer.from(random.bytes(8)).toString("hex")}`
  const addresses = createAddressLimits(settings)
  const isDraining = (): boolean => phase !== "open"

  let faultLoggedAt = Number.NEGATIVE_INFINITY
  const noteFault = (error: unknown, within: "socket" | "message" | "topic"): void => {
    counters.handlerErrors += 1
    const now = clock.monotonic()
    if (now - faultLoggedAt < FAULT_LOG_INTERVAL_MS) return
    faultLoggedAt = now
    logger.error(
      { fault: placeOfFault(error) },
      `a fault of the host, contained to one ${within}: please report it`,
    )
  }
  const faulted = (connection: Connection, error: unknown): void => {
    connection.end(1011, "internal", "may-return")
    noteFault(error, "socket")
  }
  const directory = createTopicDirectory(settings, clock, node, (error) => noteFault(error, "topic"))
  const replies = createSessionReplies({
    settings,
    clock,
    addresses,
    counters,
    blocked: (group) => logger.warn({ address: alias(group) }, "address blocked after failed joins"),
  })
  const authority = createJoinAuthority({
    verifier,
    authorizeJoin,
    authorizeTimeoutMs: settings.authorizeTimeoutMs,
    clock,
  })
  const iceDesk = createIceDesk({ settings, ice, counters })
  const shared = { settings, clock, random, directory, iceDesk, counters, replies }
  const cluster = settings.cluster.length === 0 ? null : joinCluster()
  // From here until `release` exists nothing throws, so that a host which did not start leaves no timers behind.
  const load = createProcessLoad(settings, clock)
  const desk = createJoinDesk({
    ...shared,
    faulted,
    authority,
    addresses,
    isDraining,
    findElsewhere: (topic, peer) => cluster?.find(topic, peer) ?? null,
  })
  const sessions = createSignalingSessions({
    ...shared,
    desk,
    forwardRemote: (target, from, blob) => cluster?.forward(target, from, blob) ?? false,
  })
  const reader = createAddressReader(settings)
  const sockets = createSocketServer({
    settings,
    tls,
    clock,
    gate: createUpgradeGate({
      settings,
      addresses,
      reader,
      counters,
      load,
      isDraining,
      socketCount: () => connections.size,
      proxyIgnored: () => logger.warn(PROXY_IGNORED),
    }),
    tcp: createTcpAdmission({ reader, counters, maxPerAddress: settings.addressMaxConnections }),
    addresses,
    sessions,
    connections,
    counters,
    faulted,
  })
  const watch = watchConnections({
    connections,
    settings,
    sessions,
    desk,
    iceDesk,
    clock,
    faulted,
    round: (now) => {
      directory.sweep(now)
      addresses.sweep(now)
    },
  })

  function joinCluster(): HostCluster {
    const credentials =
      settings.clusterCredentialsFile === ""
        ? ""
        : readSettingFile("clusterCredentialsFile", settings.clusterCredentialsFile)
    const link = createNatsLink({
      servers: settings.cluster,
      credentials,
      name: node,
      clock,
      report: (event, detail) => {
        if (event === "connected") logger.info({ server: detail }, "cluster connected")
        else logger.warn({ detail }, `cluster ${event}`)
      },
    })
    return createHostCluster({
      ...{ link, directory, node, clock, counters },
      faulted: (error) => noteFault(error, "message"),
    })
  }

  const stats = (): HostStats => ({
    sockets: connections.size,
    topics: directory.topicCount,
    members: directory.memberCount,
    bufferedBytes: [...connections].reduce((sum, connection) => sum + connection.bufferedBytes, 0),
  })
  const registry = createHostMetrics({
    counters,
    load,
    sockets: () => connections.size,
    topics: () => directory.topicCount,
    members: () => directory.memberCount,
    bufferedBytes: () => stats().bufferedBytes,
    clusterUp: () => (cluster === null ? null : Number(cluster.up)),
  })
  const operations = createOperationsServer({
    unready: () => (isDraining() ? "draining" : load.overload()),
    metrics: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  })

  const release = async (): Promise<void> => {
    watch.close()
    load.close()
    directory.close()
    await Promise.all([sockets.close(), closeServer(operations), cluster?.close()])
  }

  let port: number
  let operationsUrl: string | null
  try {
    const { host } = settings
    const at = { port: settings.port, portSetting: "port", host, hostSetting: "host" }
    port = (await listen(sockets.server, at)).port
    operationsUrl = settings.operationsPort === "off" ? null : await listenOperations(port)
  } catch (error) {
    await release()
    throw error
  }

  async function listenOperations(mainPort: number): Promise<string> {
    const next = settings.port === 0 ? 0 : mainPort + 1
    const at = await listen(operations, {
      port: settings.operationsPort === "next" ? next : Number(settings.operationsPort),
      portSetting: "operationsPort",
      host: settings.operationsHost,
      hostSetting: "operationsHost",
    })
    return `http://${urlHost(at.address)}:${at.port}`
  }

  const url = `${tls === null ? "ws" : "wss"}://${urlHost(settings.host)}:${port}${settings.path}`
  logger.info({ url, operationsUrl, node }, "listening")

  let ended: Promise<void> | null = null
  const hurried = new AbortController()
  const end = async (drainMs: number): Promise<void> => {
    phase = "draining"
    logger.info({ sockets: connections.size, drainMs }, "draining")
    sockets.stopAccepting()
    const startedAt = clock.monotonic()
    const drained = drainConnections(connections, drainMs, clock, random)
    hurried.signal.addEventListener("abort", drained.hurry)
    await drained.done
    if (cluster !== null && cluster.nodeCount > 0) {
      const leftMs = startedAt + drainMs - clock.monotonic()
      await awaitHandover(() => directory.memberCount, leftMs, clock, hurried.signal)
    }
    phase = "closed"
    await release()
    logger.info("closed")
  }
  const drain = (): Promise<void> => (ended ??= end(settings.drainMs))
  const close = async (): Promise<void> => {
    ended ??= end(0)
    hurried.abort()
    await ended
  }

  return {
    url,
    port,
    operationsUrl,
    stats,
    drain,
    close,
    reloadTls() {
      const files = readTlsFiles(settings)
      if (files === null) return
      sockets.replaceTls(files)
      logger.info("certificate read again")
    },
    [Symbol.asyncDispose]: close,
  }
}

/** Someone who finds a way to cause faults must not be able to fill the disk with them. */
const FAULT_LOG_INTERVAL_MS = 60_000
const PROXY_IGNORED =
  "a proxy sends the addresses of its clients but is not trusted, so all of them count as one address. Name the proxy in trustedProxies"

/** The name under which this machine reaches what listens on `address`. */
function urlHost(address: string): string {
  if (address === "" || address === "0.0.0.0" || address === "::") return "localhost"
  return address.includes(":") ? `[${address}]` : address
}
