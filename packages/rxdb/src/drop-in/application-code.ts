/** What an application left to be called at the end: its error surfaces as uncaught, and stops nothing of what else ends. */
export function runOfApplication(work: () => void): void {
  try {
    work()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
