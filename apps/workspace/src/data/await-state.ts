import type { State } from "@dunlin/core"

/** Resolves with the first accepted value: the present one or a later one. */
export function awaitState<T, Accepted extends T>(
  state: State<T>,
  accepts: (value: T) => value is Accepted,
): Promise<Accepted> {
  return new Promise((resolve) => {
    const look = (): boolean => {
      const value = state.get()
      if (!accepts(value)) return false
      resolve(value)
      return true
    }
    if (look()) return
    const end = state.subscribe(() => look() && end())
  })
}
