/**
 * Prints how long something took beside how long it may take, even if the test passes. A person's waiting time is not
 * asserted, because on a busy machine the test would fail through no fault of ours.
 */
export function reportTime(what: string, ms: number, wantedMs: number): void {
  say(`${what}: ${Math.round(ms)} ms (wanted within ${wantedMs} ms)`)
}

/** Writes past the test runner, which shows the console only for tests that fail. */
export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
