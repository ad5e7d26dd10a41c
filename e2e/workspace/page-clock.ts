import type { Person } from "./workspace-page.ts"

const MINUTE_MS = 60_000

/** Moves somebody's clock forward, without firing the timers that wait on their device. */
export async function letMinutesPass({ page }: Pick<Person, "page">, minutes: number): Promise<void> {
  await page.evaluate((ms) => {
    const passed = Date.now
    Date.now = () => passed() + ms
  }, minutes * MINUTE_MS)
}
