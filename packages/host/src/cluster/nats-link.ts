import {
  connect,
  credsAuthenticator,
  type NatsConnection,
  PermissionViolationError,
  type Subscription,
} from "@nats-io/transport-node"
import type { Clock, Millis } from "@dunlin/core"
import type { ClusterLink } from "./cluster-link.ts"

/** Pause between two attempts to reach any NATS server. */
const RETRY_MS = 1000
/** Pause after NATS let this host in and then did not let it speak or listen: somebody has to change its settings first. */
const REFUSED_RETRY_MS = 30_000
/** If NATS does not answer a flush within this time it counts as stuck: anything sent to it would only pile up. */
const STUCK_MS = 2000
const CHECK_MS = 500
const CLOSE_LIMIT_MS = 2000

/**
 * Core NATS through its own client. Retries for ever, and drops what is sent while NATS is away: who is where is
 * announced again once it is back, and a late signal is worthless.
 */
export function createNatsLink(options: {
  /** URLs, validated. */
  readonly servers: readonly string[]
  /** Contents of a credentials file, or empty. */
  readonly credentials: string
  readonly name: string
  readonly clock: Clock
  /** For the log; contains no secrets. */
  readonly report: (event: "connected" | "lost" | "unreachable" | "refused", detail: string) => void
}): ClusterLink {
  const { clock } = options
  const servers = options.servers.map(parseServer)
  const wanted = new Map<
    object,
    { readonly subject: string; readonly receive: (bytes: Uint8Array) => void }
  >()
  const active = new Map<object, Subscription>()
  const listeners: ((up: boolean) => void)[] = []
  let connection: NatsConnection | null = null
  let connected = false
  let stuck = false
  let closed = false
  let complained = false
  let cancelRetry = (): void => {}
  let cancelCheck = (): void => {}

  const setState = (change: () => void): void => {
    const before = isUp()
    change()
    const now = isUp()
    if (before === now) return
    for (const listener of listeners) listener(now)
  }
  const isUp = (): boolean => connected && !stuck && !closed

  const activate = (key: object): void => {
    const subscription = wanted.get(key)
    if (connection === null || subscription === undefined) return
    try {
      active.set(
        key,
        connection.subscribe(subscription.subject, {
          callback: (error, message) => {
            if (error === null) subscription.receive(message.data)
          },
        }),
      )
    } catch {
      // The client closed before its status was read: the next connection takes up what is wanted.
    }
  }

  const open = async (): Promise<void> => {
    const [first] = servers
    try {
      const opened = await connect({
        servers: servers.map(({ address }) => address),
        name: `dunlin-host ${options.name}`,
        maxReconnectAttempts: -1,
        reconnectTimeWait: RETRY_MS,
        pingInterval: 5000,
        maxPingOut: 2,
        timeout: 3000,
        noEcho: true,
        ignoreAuthErrorAbort: true,
        ...(first?.user === undefined ? {} : { user: first.user, pass: first.pass ?? "" }),
        ...(options.credentials === ""
          ? {}
          : { authenticator: credsAuthenticator(new TextEncoder().encode(options.credentials)) }),
        ...(servers.some(({ tls }) => tls) ? { tls: {} } : {}),
      })
      if (closed) {
        await opened.close()
        return
      }
      connection = opened
      for (const key of wanted.keys()) activate(key)
      void watchStatus(opened)
      check()
      setState(() => (connected = true))
      options.report("connected", opened.getServer())
    } catch (error) {
      if (closed) return
      if (!complained) options.report("unreachable", error instanceof Error ? error.message : String(error))
      complained = true
      cancelRetry = clock.after(RETRY_MS, () => void open())
    }
  }

  const watchStatus = async (from: NatsConnection): Promise<void> => {
    let isRefused = false
    for await (const status of from.status()) {
      if (status.type === "disconnect") {
        setState(() => (connected = false))
        options.report("lost", status.server)
      } else if (status.type === "reconnect") {
        setState(() => (connected = true))
        options.report("connected", status.server)
      } else if (status.type === "error" && status.error instanceof PermissionViolationError && !isRefused) {
        // A host that may not speak or listen would look connected, and its rooms would be split for ever.
        isRefused = true
        setState(() => (connected = false))
        options.report("refused", status.error.message)
        void from.close()
      }
    }
    // The client gives up only on what it holds to be final, such as refused credentials; the server may still mend it.
    if (closed) return
    setState(() => (connected = false))
    connection = null
    active.clear()
    cancelRetry = clock.after(isRefused ? REFUSED_RETRY_MS : RETRY_MS, () => void open())
  }

  /** The client buffers without bound. A flush without an answer shows that the server does not take what is sent. */
  const check = (): void => {
    const checked = connection
    if (checked === null || closed) return
    const cancelStuck = clock.after(STUCK_MS, () => setState(() => (stuck = true)))
    checked
      .flush()
      .catch(() => {})
      .finally(() => {
        cancelStuck()
        setState(() => (stuck = false))
        cancelCheck = clock.after(CHECK_MS, check)
      })
  }

  void open()

  return {
    publish(subject, bytes) {
      if (connection === null || !isUp()) return false
      try {
        connection.publish(subject, bytes)
        return true
      } catch {
        return false
      }
    },
    subscribe(subject, receive) {
      const key = {}
      wanted.set(key, { subject, receive })
      activate(key)
      return () => {
        wanted.delete(key)
        active.get(key)?.unsubscribe()
        active.delete(key)
      }
    },
    get up() {
      return isUp()
    },
    onChange: (listener) => void listeners.push(listener),
    async close() {
      if (closed) return
      closed = true
      cancelRetry()
      cancelCheck()
      if (connection !== null) await Promise.race([connection.close(), after(clock, CLOSE_LIMIT_MS)])
    },
  }
}

interface ServerAddress {
  readonly address: string
  readonly tls: boolean
  readonly user: string | undefined
  readonly pass: string | undefined
}

function parseServer(url: string): ServerAddress {
  const { hostname, port, protocol, username, password } = new URL(url)
  return {
    address: `${hostname}:${port === "" ? "4222" : port}`,
    tls: protocol === "tls:",
    user: username === "" ? undefined : decodeURIComponent(username),
    pass: password === "" ? undefined : decodeURIComponent(password),
  }
}

function after(clock: Clock, delayMs: Millis): Promise<void> {
  return new Promise((resolve) => clock.after(delayMs, resolve))
}
