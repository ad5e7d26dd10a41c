/**
 * A signal for each call, aborted by the application's or by `abortAll`. Platforms warn of more than ten listeners, and
 * older ones keep what `AbortSignal.any()` makes as long as its sources: here, each source has one listener.
 */
export interface CallSignals {
  open(source: AbortSignal | undefined): CallSignal
  abortAll(reason: unknown): void
}

export interface CallSignal {
  readonly signal: AbortSignal
  /** The call has ended. */
  close(): void
}

export function createCallSignals(): CallSignals {
  const callsBySource = new Map<EventTarget | null | undefined, Set<AbortController>>()
  const sourceAborted = ({ target }: Event): void => {
    for (const call of callsBySource.get(target) ?? []) call.abort((target as AbortSignal).reason)
  }

  return {
    open(source) {
      const call = new AbortController()
      if (source?.aborted === true) call.abort(source.reason)
      const calls = callsBySource.get(source) ?? new Set()
      callsBySource.set(source, calls.add(call))
      source?.addEventListener("abort", sourceAborted)
      return {
        signal: call.signal,
        close() {
          if (!calls.delete(call) || calls.size > 0) return
          callsBySource.delete(source)
          source?.removeEventListener("abort", sourceAborted)
        },
      }
    },
    abortAll(reason) {
      for (const calls of callsBySource.values()) for (const call of calls) call.abort(reason)
    },
  }
}
