/** Code of the application that never answers must not hold up the collection. */
const PATIENCE_MS = 10_000

/** Rejects when `work` takes longer; what it comes to after that is dropped. */
export function withinTime<T>(work: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const late = (): void => reject(new Error(`no answer within ${PATIENCE_MS / 1000} s`))
    const timer = setTimeout(late, PATIENCE_MS)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
