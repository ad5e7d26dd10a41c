import type { Clock } from "../ports/clock.ts"
import { createListeners } from "../ports/state.ts"
import type { Diagnostic, Diagnostics, LinkCounters } from "./room.ts"

/** `Omit` that keeps the members of a union apart. */
type Untimed<T> = T extends unknown ? Omit<T, "at"> : never

export type Finding = Untimed<Diagnostic>

export interface DiagnosticsLog extends Diagnostics {
  add(finding: Finding): void
}

const KEPT = 512

/** A ring of the last findings; adding one costs an allocation and a store when nobody listens. */
export function createDiagnostics(
  clock: Clock,
  counters: () => ReadonlyMap<string, LinkCounters>,
): DiagnosticsLog {
  const ring: Diagnostic[] = []
  let next = 0
  const listeners = createListeners<Diagnostic>()

  return {
    add(finding) {
      const diagnostic: Diagnostic = { at: clock.now(), ...finding }
      ring[next] = diagnostic
      next = (next + 1) % KEPT
      listeners.tell(diagnostic)
    },
    recent: () => (ring.length < KEPT ? [...ring] : [...ring.slice(next), ...ring.slice(0, next)]),
    subscribe: listeners.add,
    counters,
  }
}
