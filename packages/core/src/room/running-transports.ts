import type { Clock } from "../ports/clock.ts"
import { errorText } from "../ports/error-text.ts"
import type { State } from "../ports/state.ts"
import { within } from "../ports/within.ts"
import type { ElectionRole, RunningTransport, Transport, TransportHost } from "../ports/transport.ts"

export interface RunningTransportsOptions {
  /** At most one of them elects. */
  readonly transports: readonly Transport[]
  readonly clock: Clock
  /** Makes the host for one start of a transport. */
  host(transport: Transport): TransportHost
  /** True while the session that holds this one's connections lacks one of this session's replicas. */
  readonly isUnserved: State<boolean>
  /** Closes the links of a transport that this session no longer runs. */
  stopped(transport: Transport): void
  /** Undefined if no transport elects. */
  roleChanged(role: ElectionRole | undefined): void
  /** A transport threw where no caller waits; `detail` says which one, and what it threw. */
  failed(detail: string): void
}

export interface RunningTransports {
  reconnect(): void
  /** Resolves once each has stopped, or has had five seconds for it. */
  stop(): Promise<void>
}

/** A transport that stops has only goodbyes to say: one that hangs keeps no room from closing, and no tab from starting again. */
const STOP_PATIENCE_MS = 5_000

/**
 * Runs a transport that elects a holder all the time, and the others only while this session must reach peers itself. Throws
 * what a transport throws at its first start, and leaves nothing running then.
 */
export function runTransports(options: RunningTransportsOptions): RunningTransports {
  const { isUnserved, clock, failed } = options
  const reaching = options.transports.filter(({ elects }) => !elects)
  const elections: RunningTransport[] = []
  let running: RunningTransport[] | null = null
  /** Starts and stops take turns: nothing starts while anything is still stopping. */
  let stopping: Promise<void> = Promise.resolve()
  let isStopped = false

  const role = (): ElectionRole | undefined => elections[0]?.election?.get()

  const wantsOut = (): boolean =>
    !isStopped && role() !== "undecided" && (role() !== "follower" || isUnserved.get())

  const start = (transports: readonly Transport[], into: RunningTransport[]): void => {
    for (const transport of transports) into.push(transport.start(options.host(transport)))
  }

  /** A tab that takes over goes on with those transports that do start. */
  const startAgain = (): RunningTransport[] =>
    reaching.flatMap((transport) => {
      try {
        return transport.start(options.host(transport))
      } catch (cause) {
        failed(`${transport.name} did not start: ${errorText(cause)}`)
        return []
      }
    })

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
    const stopOne = async (transport: RunningTransport): Promise<unknown> => transport.stop()
    const stops = ending.map((transport) =>
      within(
        clock,
        STOP_PATIENCE_MS,
        stopOne(transport).then(() => null, errorText),
        "it hangs",
      ),
    )
    for (const why of await Promise.all(stops)) if (why !== null) failed(`a transport did not stop: ${why}`)
  }

  let unsubscribe: readonly (() => void)[] = []

  const stop = async (): Promise<void> => {
    isStopped = true
    for (const end of unsubscribe) end()
    await Promise.all([settle(), stopAll(elections)])
  }

  const changed = (): void => {
    options.roleChanged(role())
    void settle()
  }
  try {
    start(
      options.transports.filter(({ elects }) => elects),
      elections,
    )
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
