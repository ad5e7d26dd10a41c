import type { Clock, Millis, Random } from "@dunlin/core"
import type { Connection } from "./connection.ts"

/** After a goodbye, clients come back within this time, each at a random moment. */
const RETURN_SPREAD_MS = 10_000
/** A socket that does not answer the close frame by then is cut. */
const CLOSE_TIMEOUT_MS = 1000
/** How often to check whether sessions are still to be handed over. */
const HANDOVER_LOOK_MS = 100

/** Says goodbye to all sockets and closes them, spread over `drainMs` so that no other host is overrun. */
export function drainConnections(
  connections: ReadonlySet<Connection>,
  drainMs: Millis,
  clock: Clock,
  random: Random,
): {
  /** Resolves when no socket is left. */
  readonly done: Promise<void>
  /** Closes at once the sockets that still wait for their turn. */
  readonly hurry: () => void
} {
  const waiting = new Map<Connection, () => void>()
  let cancelDeadline = (): void => {}
  let finish = (): void => {}
  const done = new Promise<void>((resolve) => {
    finish = resolve
  })

  const closeOne = (connection: Connection): void => {
    waiting.get(connection)?.()
    waiting.delete(connection)
    connection.end(1001, "going away", "may-return")
  }
  const cut = (): void => {
    for (const connection of connections) {
      connection.alive = false
      connection.socket.terminate()
    }
    finish()
  }
  const hurry = (): void => {
    for (const connection of [...waiting.keys()]) closeOne(connection)
    cancelDeadline()
    if (connections.size === 0) finish()
    else cancelDeadline = clock.after(CLOSE_TIMEOUT_MS, cut)
  }

  for (const connection of connections) {
    connection.tell({ type: "bye", retryMs: Math.ceil(random.unit() * RETURN_SPREAD_MS) })
    waiting.set(
      connection,
      clock.after(random.unit() * drainMs, () => closeOne(connection)),
    )
    connection.socket.once("close", () => {
      waiting.get(connection)?.()
      waiting.delete(connection)
      if (connections.size > 0) return
      cancelDeadline()
      finish()
    })
  }
  if (connections.size === 0) finish()
  else if (drainMs === 0) hurry()
  else cancelDeadline = clock.after(drainMs + CLOSE_TIMEOUT_MS, cut)
  return { done, hurry }
}

/**
 * Waits until no session whose socket has closed is left: other hosts of the cluster have taken them up, or their grace
 * time is over. If a host went earlier, those it held would be missing from their rooms.
 */
export async function awaitHandover(
  sessionCount: () => number,
  withinMs: Millis,
  clock: Clock,
  hurried: AbortSignal,
): Promise<void> {
  const deadline = clock.monotonic() + withinMs
  while (sessionCount() > 0 && clock.monotonic() < deadline && !hurried.aborted) {
    await new Promise<void>((resolve) => clock.after(HANDOVER_LOOK_MS, resolve))
  }
}
