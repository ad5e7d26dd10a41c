/** Runs a callback of the application. Its error surfaces as uncaught and stops nothing else. */
export function runOfApplication(work: () => void): void {
  try {
    work()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
