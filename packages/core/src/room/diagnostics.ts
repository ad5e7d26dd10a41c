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

/** The last findings. */
export function createDiagnostics(
  clock: Clock,
  counters: () => ReadonlyMap<string, LinkCounters>,
): DiagnosticsLog {
  const kept: Diagnostic[] = []
  const listeners = createListeners<Diagnostic>()

  return {
    add(finding) {
      const diagnostic: Diagnostic = { at: clock.now(), ...finding }
      if (kept.push(diagnostic) > KEPT) kept.shift()
      listeners.tell(diagnostic)
    },
    recent: () => [...kept],
    subscribe: listeners.add,
    counters,
  }
}
