import type { Person } from "./workspace-page.ts"

const MINUTE_MS = 60_000

/** Lets time pass at somebody's device: for its clock, not for what waits there. */
export async function letMinutesPass({ page }: Pick<Person, "page">, minutes: number): Promise<void> {
  await page.evaluate((ms) => {
    const passed = Date.now
    Date.now = () => passed() + ms
  }, minutes * MINUTE_MS)
}
