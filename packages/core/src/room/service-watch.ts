import type { Clock } from "../ports/clock.ts"
import { createState, type State } from "../ports/state.ts"
import type { Peer } from "./room.ts"

export interface ServiceWatchOptions {
  readonly clock: Clock
  readonly peers: State<readonly Peer[]>
  /** Names of the replicas that this session shares; a change of them is noticed at the next change of `peers`. */
  replicas(): Iterable<string>
}

/** Whether a tab that reaches the room through another tab finds all its replicas there. */
export interface ServiceWatch {
  readonly isUnserved: State<boolean>
  /** Looks again, such as after the role changed. */
  look(): void
  close(): void
}

/** The other tab may be about to open the same replicas, or to answer for the first time. */
const PATIENCE_MS = 2_000

export function createServiceWatch({ clock, peers, replicas }: ServiceWatchOptions): ServiceWatch {
  const isUnserved = createState(false)
  let cancel: (() => void) | null = null

  const isServed = (): boolean => {
    const holder = peers.get().find(({ path }) => path === "tab")
    if (holder === undefined) return false
    return [...replicas()].every((name) => {
      const phase = holder.replicas.get(name)?.phase
      return phase === "reconciling" || phase === "live"
    })
  }
  const look = (): void => {
    if (isServed()) {
      cancel?.()
      cancel = null
      isUnserved.set(false)
    } else {
      cancel ??= clock.after(PATIENCE_MS, () => isUnserved.set(true))
    }
  }
  const unsubscribe = peers.subscribe(look)

  return {
    isUnserved,
    look,
    close() {
      cancel?.()
      unsubscribe()
    },
  }
}
