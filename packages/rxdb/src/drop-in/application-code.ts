/** Runs a callback that the application left for the end. Its error surfaces as uncaught and stops nothing else. */
export function runOfApplication(work: () => void): void {
  try {
    work()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
