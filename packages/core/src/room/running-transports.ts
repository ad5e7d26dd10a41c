import type { Clock } from "../ports/clock.ts"
import { errorText } from "../ports/error-text.ts"
import type { State } from "../ports/state.ts"
import type { ElectionRole, RunningTransport, Transport, TransportHost } from "../ports/transport.ts"

export interface RunningTransportsOptions {
  readonly transports: readonly Transport[]
  readonly clock: Clock
  /** A host for one start of a transport. */
  host(transport: Transport): TransportHost
  /** True while the session that holds this one's connections lacks a replica of it. */
  readonly isUnserved: State<boolean>
  /** Closes the links that came from a transport which this session runs no more. */
  stopped(transport: Transport): void
  roleChanged(role: ElectionRole): void
  /** A transport threw where nobody waits for it; says which and what. */
  failed(detail: string): void
}

export interface RunningTransports {
  reconnect(): void
  /** Resolves once all have stopped, or have had their time. */
  stop(): Promise<void>
}

/** What a transport has to do as it stops is to say goodbye: a room that closes waits no longer for one that hangs. */
const STOP_PATIENCE_MS = 5_000

/**
 * Runs transports that elect a holder all the time, the others only where this session must reach out itself. Throws what a
 * transport throws at its first start, with nothing left running.
 */
export function runTransports(options: RunningTransportsOptions): RunningTransports {
  const { isUnserved, clock, failed } = options
  const electing = options.transports.filter(({ elects = false }) => elects)
  const reaching = options.transports.filter(({ elects = false }) => !elects)
  const elections: RunningTransport[] = []
  let running: RunningTransport[] | null = null
  /** Starts and stops follow each other; a start never meets what is still stopping. */
  let stopping: Promise<void> = Promise.resolve()
  let isStopped = false

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

  const start = (transports: readonly Transport[], into: RunningTransport[]): void => {
    for (const transport of transports) into.push(transport.start(options.host(transport)))
  }

  /** A tab that takes over goes on with those that start. */
  const startAgain = (): RunningTransport[] => {
    const started: RunningTransport[] = []
    for (const transport of reaching) {
      try {
        start([transport], started)
      } catch (cause) {
        failed(`${transport.name} did not start: ${errorText(cause)}`)
      }
    }
    return started
  }

  async function settle(): Promise<void> {
    await stopping
    if (wantsOut() && running === null) running = startAgain()
    if (!wantsOut() && running !== null) {
      const ending = running
      running = null
      stopping = stopAll(ending).then(() => reaching.forEach(options.stopped))
      await stopping
      if (wantsOut()) await settle()
    }
  }

  const stopAll = async (ending: readonly RunningTransport[]): Promise<void> => {
    const stops = ending.map(async (transport) => transport.stop())
    for (const stop of await Promise.allSettled(stops))
      if (stop.status === "rejected") failed(`a transport did not stop: ${errorText(stop.reason)}`)
  }

  let unsubscribe: readonly (() => void)[] = []

  const stop = async (): Promise<void> => {
    isStopped = true
    for (const end of unsubscribe) end()
    await new Promise<void>((resolve) => {
      const cancel = clock.after(STOP_PATIENCE_MS, resolve)
      void Promise.all([settle(), stopAll(elections)])
        .then(() => resolve())
        .finally(cancel)
    })
  }

  const changed = (): void => {
    options.roleChanged(role())
    void settle()
  }
  try {
    start(electing, elections)
    unsubscribe = [
      isUnserved.subscribe(() => void settle()),
      ...elections.flatMap(({ election }) => election?.subscribe(changed) ?? []),
    ]
    options.roleChanged(role())
    if (wantsOut()) start(reaching, (running = []))
  } catch (error) {
    void stop()
    throw error
  }

  return {
    reconnect() {
      for (const transport of [...elections, ...(running ?? [])]) transport.reconnect()
    },
    stop,
  }
}
