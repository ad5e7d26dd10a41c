/** Runs jobs one after the other, so that none of them sees another's half-done work. */
export interface SerialQueue {
  run<T>(job: () => Promise<T>): Promise<T>
  /** Whether no job runs or waits. */
  idle(): boolean
  /** Takes the queue for itself until the returned function is called. */
  hold(): Promise<() => void>
  /** Resolves when everything queued so far has ended. */
  drained(): Promise<void>
}

export function createSerialQueue(): SerialQueue {
  let tail: Promise<unknown> = Promise.resolve()
  let jobs = 0

  const run = <T>(job: () => Promise<T>): Promise<T> => {
    jobs++
    const done = tail.then(job)
    tail = done.then(
      () => void jobs--,
      () => void jobs--,
    )
    return done
  }

  return {
    run,
    idle: () => jobs === 0,
    hold: () =>
      new Promise((acquired) => {
        void run(() => new Promise<void>((release) => acquired(release)))
      }),
    async drained() {
      await tail
    },
  }
}
