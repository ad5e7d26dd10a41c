/**
 * Says how long something took, also where the test passes, and beside how long it may. What a person waits for is no
 * assertion: on a busy machine it would fail for no fault of ours.
 */
export function reportTime(what: string, ms: number, wantedMs: number): void {
  say(`${what}: ${Math.round(ms)} ms (wanted within ${wantedMs} ms)`)
}

/** Past the test runner, which shows the console of failed tests only. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
