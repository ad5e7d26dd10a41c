import type { Clock } from "./clock.ts"

/** What becomes of `work`, or `late` once that takes longer; the work itself goes on. */
export function within<Result, Late>(
  clock: Clock,
  limitMs: number,
  work: Promise<Result>,
  late: Late,
): Promise<Result | Late> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(limitMs, () => resolve(late))
    work.then(resolve, reject).finally(cancel)
  })
}
