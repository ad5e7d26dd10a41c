import type { State } from "@dunlin/core"
import { useCallback, useSyncExternalStore } from "react"

/** The present value of a Dunlin state; `fallback` while there is no state to read. */
export function useStateValue<T>(state: State<T> | null, fallback: T): T {
  const subscribe = useCallback((onChange: () => void) => state?.subscribe(onChange) ?? noop, [state])
  const read = (): T => (state === null ? fallback : state.get())
  return useSyncExternalStore(subscribe, read, read)
}

function noop(): void {}
