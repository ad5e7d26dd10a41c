import type { Browser, BrowserContext, Locator, Page } from "playwright-core"
import { launchChromium } from "../browser/harness/chromium.ts"

/** One person with one browser profile, whose actions have everyday names. */
export interface Person {
  readonly page: Page
  readonly context: BrowserContext
  /** Every request URL of the profile, to check what must not appear in one. */
  readonly requests: readonly string[]
  /** Console errors and uncaught exceptions. */
  readonly errors: string[]
  goto(route: string): Promise<void>
  invite(): Promise<string>
  /** Copies the invite with the button, through the clipboard. */
  copyInvite(): Promise<string>
  newDocument(title: string): Promise<void>
  openDocument(title: string): Promise<void>
  editor(): Locator
  text(): Promise<string>
  addTask(title: string, column?: string): Promise<void>
  /** The card with exactly this title: cards also show people's names, which may contain any word. */
  card(title: string, column?: string): Locator
  sync(): Promise<string>
  pause(): Promise<void>
  resume(): Promise<void>
  close(): Promise<void>
}

export const WAIT_MS = 30_000

export interface PersonOptions {
  /** The browser of their profile. Default: a separate browser with its own profile on disk. */
  readonly browser?: Browser
  readonly prepare?: (context: BrowserContext) => Promise<unknown>
}

export async function openPerson(address: string, { browser, prepare }: PersonOptions = {}): Promise<Person> {
  const { context, close } = browser === undefined ? await launchChromium() : await profileIn(browser)
  const requests: string[] = []
  context.on("request", (request) => requests.push(request.url()))
  await prepare?.(context)
  const page = context.pages()[0] ?? (await context.newPage())
  const person = await personAt(page, address, requests)
  return { ...person, context, requests, close: () => close() }
}

async function profileIn(
  browser: Browser,
): Promise<{ readonly context: BrowserContext; close(): Promise<void> }> {
  const context = await browser.newContext()
  return {
    context,
    async close() {
      // A service worker may still be fetching through a route while the page closes.
      await context.unrouteAll({ behavior: "ignoreErrors" })
      await context.close()
    },
  }
}

/** The same person in a further tab. */
export async function openTab(
  person: Person,
  address: string,
): Promise<Omit<Person, "context" | "requests" | "close">> {
  return personAt(await person.context.newPage(), address, [])
}

async function personAt(
  page: Page,
  address: string,
  requests: readonly string[],
): Promise<Omit<Person, "context" | "close">> {
  const errors: string[] = []
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()))
  page.on("pageerror", (error) => errors.push(error.stack ?? error.message))
  page.setDefaultTimeout(WAIT_MS)
  await page.goto(address)
  await page.locator("#main").waitFor()
  const editor = (): Locator => page.locator(".cm-content")
  const card = (title: string, column?: string): Locator =>
    page
      .locator(`${column === undefined ? "" : `[data-column="${column}"] `}.card`)
      .filter({ has: page.locator(".card-title").getByText(title, { exact: true }) })

  return {
    page,
    requests,
    errors,
    async goto(route) {
      await page.evaluate((hash) => (location.hash = hash), `#${route}`)
      // Right after a reload nothing accepts keys yet.
      await page.locator("#main").waitFor()
    },
    async invite() {
      await page.getByRole("button", { name: "Share", exact: true }).first().click()
      const link = await page.getByRole("textbox", { name: "Invite link" }).inputValue()
      await page.keyboard.press("Escape")
      return link
    },
    async copyInvite() {
      await page.context().grantPermissions(["clipboard-read", "clipboard-write"])
      await page.getByRole("button", { name: "Share", exact: true }).first().click()
      // The page is served by this computer alone, so a code would be useless to a phone.
      await page.getByText("works on this computer alone").waitFor()
      await page.getByRole("button", { name: "Copy" }).click()
      await page.getByRole("button", { name: "Copied" }).waitFor()
      const link = await page.evaluate(() => navigator.clipboard.readText())
      await page.keyboard.press("Escape")
      return link
    },
    async newDocument(title) {
      const before = await page.evaluate(() => location.hash)
      await page.getByRole("button", { name: "New", exact: true }).click()
      // Until the new document is shown, the title on the page belongs to the previous one.
      await page.waitForFunction(
        (hash) =>
          location.hash !== hash && document.querySelector<HTMLInputElement>(".title-input")?.value === "",
        before,
      )
      await page.getByRole("textbox", { name: "Title" }).fill(title)
      await editor().waitFor()
    },
    async openDocument(title) {
      await page.locator(".row", { hasText: title }).first().click()
      await editor().waitFor()
    },
    editor,
    // The placeholder is in the editor but not in the text.
    text: () =>
      editor().evaluate((content) => {
        const copy = content.cloneNode(true) as HTMLElement
        for (const extra of copy.querySelectorAll(".cm-placeholder, .cm-widgetBuffer")) extra.remove()
        return [...copy.querySelectorAll(".cm-line")].map((line) => line.textContent).join("\n")
      }),
    async addTask(title, column = "To do") {
      await page.getByRole("textbox", { name: `New task in ${column}` }).fill(title)
      await page.keyboard.press("Enter")
      await card(title).waitFor()
    },
    card,
    sync: () => page.getByTestId("sync").first().innerText(),
    pause: () => switchSync(page, "Pause sync", "Resume sync"),
    resume: () => switchSync(page, "Resume sync", "Pause sync"),
  }
}

async function switchSync(page: Page, press: string, then: string): Promise<void> {
  const back = await page.evaluate(() => location.hash)
  await page.evaluate(() => (location.hash = "#/people"))
  await page.getByRole("button", { name: press }).click()
  await page.getByRole("button", { name: then }).waitFor()
  await page.evaluate((hash) => (location.hash = hash), back)
}

/** Waits until `condition` holds, and returns how many milliseconds that took. */
export async function timeUntil(
  what: string,
  condition: () => Promise<boolean>,
  limitMs: number = WAIT_MS,
): Promise<number> {
  const started = performance.now()
  while (!(await condition())) {
    if (performance.now() - started > limitMs) throw new Error(`Not within ${limitMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  return Math.round(performance.now() - started)
}
