/** Readable state, shaped for `useSyncExternalStore`: `get` returns the same reference until it changes. */
export interface State<T> {
  get(): T
  /** Calls `listener` after each change, but not on subscribing. Returns the function that ends the subscription. */
  subscribe(listener: (value: T) => void): () => void
}

/** The writing side of a `State`; whoever creates it owns it. */
export interface MutableState<T> extends State<T> {
  set(value: T): void
}

/** State held in memory. Setting the same reference again tells nobody; a throwing listener stops no other. */
export function createState<T>(initial: T): MutableState<T> {
  let current = initial
  const listeners = createListeners<T>()
  return {
    get: () => current,
    set(value) {
      if (Object.is(value, current)) return
      current = value
      listeners.tell(value)
    },
    subscribe: listeners.add,
  }
}

/** A set of listeners, called in the order in which they were added. */
export interface Listeners<T> {
  /** Returns the function that removes the listener. */
  add(listener: (value: T) => void): () => void
  tell(value: T): void
}

/** A listener's error belongs to the application: it surfaces as uncaught and stops nothing here. */
export function createListeners<T>(): Listeners<T> {
  const listeners = new Set<(value: T) => void>()
  return {
    add(listener) {
      // A wrapper makes each subscription its own, even when one function subscribes twice.
      const own = (value: T): void => listener(value)
      listeners.add(own)
      return () => void listeners.delete(own)
    },
    tell(value) {
      for (const listener of [...listeners]) {
        try {
          listener(value)
        } catch (error) {
          queueMicrotask(() => {
            throw error
          })
        }
      }
    },
  }
}
