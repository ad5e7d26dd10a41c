import type { State } from "../ports/state.ts"
import type { ElectionRole, RunningTransport, Transport, TransportHost } from "../ports/transport.ts"

export interface RunningTransportsOptions {
  readonly transports: readonly Transport[]
  /** A host for one start of a transport. */
  host(transport: Transport): TransportHost
  /** True while the session that holds this one's connections lacks a replica of it. */
  readonly isUnserved: State<boolean>
  /** Closes the links that came from a transport which this session runs no more. */
  stopped(transport: Transport): void
  roleChanged(role: ElectionRole): void
}

export interface RunningTransports {
  reconnect(): void
  stop(): Promise<void>
}

/** Runs transports that elect a holder all the time, the others only where this session must reach out itself. */
export function runTransports(options: RunningTransportsOptions): RunningTransports {
  const { isUnserved } = options
  const electing = options.transports.filter(({ elects = false }) => elects)
  const reaching = options.transports.filter(({ elects = false }) => !elects)
  const elections = startAll(electing)
  let running: readonly RunningTransport[] | null = null
  /** Starts and stops follow each other; a start never meets what is still stopping. */
  let stopping: Promise<void> = Promise.resolve()
  let isStopped = false

  /** All of them, or none. */
  function startAll(transports: readonly Transport[]): readonly RunningTransport[] {
    const started: RunningTransport[] = []
    try {
      for (const transport of transports) started.push(transport.start(options.host(transport)))
    } catch (error) {
      for (const transport of started) void transport.stop()
      throw error
    }
    return started
  }

  const role = (): ElectionRole => {
    const roles = elections.map(({ election }) => election?.get() ?? "holder")
    if (roles.includes("follower")) return "follower"
    return roles.includes("undecided") ? "undecided" : "holder"
  }

  const wantsOut = (): boolean => {
    if (isStopped) return false
    const now = role()
    return now === "holder" || (now === "follower" && isUnserved.get())
  }

  async function settle(): Promise<void> {
    await stopping
    if (wantsOut() && running === null) running = startAll(reaching)
    if (!wantsOut() && running !== null) {
      const ending = running
      running = null
      stopping = stopAll(ending)
      await stopping
      if (wantsOut()) await settle()
    }
  }

  async function stopAll(ending: readonly RunningTransport[]): Promise<void> {
    await Promise.all(ending.map((transport) => transport.stop()))
    for (const transport of reaching) options.stopped(transport)
  }

  const unsubscribe = [
    isUnserved.subscribe(() => void settle()),
    ...elections.map(({ election }) =>
      election?.subscribe(() => {
        options.roleChanged(role())
        void settle()
      }),
    ),
  ]
  options.roleChanged(role())
  if (wantsOut()) running = startAll(reaching)

  return {
    reconnect() {
      for (const transport of [...elections, ...(running ?? [])]) transport.reconnect()
    },
    async stop() {
      isStopped = true
      for (const end of unsubscribe) end?.()
      await Promise.all([settle(), ...elections.map((transport) => transport.stop())])
    },
  }
}
