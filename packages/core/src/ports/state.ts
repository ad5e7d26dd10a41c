/** Readable state, shaped for `useSyncExternalStore`: `get` returns the same reference until it changes. */
export interface State<T> {
  get(): T
  /** Calls `listener` after each change, never at once. Returns the function that ends it. */
  subscribe(listener: (value: T) => void): () => void
}

/** The writing side of a `State`; whoever creates it owns it. */
export interface MutableState<T> extends State<T> {
  set(value: T): void
}

/** State held in memory. Setting the same reference again tells nobody; a throwing listener stops no other. */
export function createState<T>(initial: T): MutableState<T> {
  let current = initial
  const listeners = new Set<(value: T) => void>()
  return {
    get: () => current,
    set(value) {
      if (Object.is(value, current)) return
      current = value
      for (const listener of [...listeners]) {
        try {
          listener(value)
        } catch (error) {
          reportUncaught(error)
        }
      }
    },
    subscribe(listener) {
      // A wrapper makes each subscription its own, even when one function subscribes twice.
      const own = (value: T): void => listener(value)
      listeners.add(own)
      return () => void listeners.delete(own)
    },
  }
}

/** A listener's error belongs to the application: surface it as uncaught without breaking our own loop. */
function reportUncaught(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
