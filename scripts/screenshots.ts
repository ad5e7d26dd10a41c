import { mkdir, writeFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { type Browser, chromium, type FrameLocator, type Page } from "playwright-core"
import { findChromium } from "../e2e/browser/harness/find-browser.ts"
import { setup } from "../e2e/workspace/workspace-build.ts"
import { startWorkspaceServer } from "../e2e/workspace/workspace-server.ts"
import { recordAnimation } from "./page-recorder.ts"

/** Takes the pictures of the README from the running workspace, so that they show it as it is. */
const folder = fileURLToPath(new URL("../docs/images/", import.meta.url))
await mkdir(folder, { recursive: true })
const installed = findChromium()
if (installed === null)
  throw new Error("No Chromium, Chrome or Edge found. Install one, or name it in CHROMIUM_PATH.")
const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--hide-scrollbars",
  "--force-color-profile=srgb",
]
await setup()
const server = await startWorkspaceServer()
const [first, second] = [
  await chromium.launch({ executablePath: installed, args }),
  await chromium.launch({ executablePath: installed, args }),
]
try {
  await takeStills(first, second)
  await takeMerge(first)
} finally {
  await first.close()
  await second.close()
  await server.close()
}

async function takeStills(one: Browser, other: Browser): Promise<void> {
  const ada = await openPage(one, { width: 1280, height: 800 }, "light")
  await name(ada, "Ada", 1)
  await goto(ada, "/documents")
  await ada.getByRole("button", { name: /Start from a sample/ }).click()
  await ada.locator(".row").first().waitFor()
  await ada.getByRole("button", { name: "Share", exact: true }).first().click()
  const link = await ada.getByRole("textbox", { name: "Invite link" }).inputValue()
  await ada.keyboard.press("Escape")
  const ben = await openPage(other, { width: 390, height: 780 }, "light", link)
  await name(ben, "Ben", 0)
  for (const page of [ada, ben]) {
    await goto(page, "/documents")
    await page.locator(".row", { hasText: "Sunday" }).click()
    await page.locator(".cm-line").first().waitFor()
  }
  await ben.locator(".cm-line", { hasText: "The big flock" }).click()
  await ben.keyboard.press("Control+End")
  await ben.keyboard.type("It settled at 08:14.")
  // Names fade, except under the pointer.
  const caret = await ada.locator(".dunlin-caret").boundingBox()
  if (caret === null) throw new Error("Ben's caret is not in sight.")
  await ada.mouse.move(caret.x + 2, caret.y + caret.height / 2)
  await settle(ada)
  await shoot(ada, "documents.png")
  await shoot(ben, "phone.png")
  await ada.emulateMedia({ colorScheme: "dark" })
  await settle(ada)
  await shoot(ada, "documents-dark.png")
  await goto(ada, "/board")
  await ada.locator(".card").first().waitFor()
  await settle(ada)
  await shoot(ada, "board-dark.png")
  await ada.emulateMedia({ colorScheme: "light" })
  await settle(ada)
  await shoot(ada, "board.png")
  await goto(ada, "/people")
  await ada.locator(".facts").waitFor()
  await settle(ada)
  await shoot(ada, "people.png")
}

/** Two devices, a cut, an edit on each side of the same paragraph, and the merge. */
async function takeMerge(browser: Browser): Promise<void> {
  const page = await openPage(browser, { width: 1120, height: 600 }, "light", `${server.url}?demo=split`)
  const [ada, ben] = [page.frameLocator("iframe").nth(0), page.frameLocator("iframe").nth(1)]
  for (const device of [ada, ben])
    await device.locator(".cm-line", { hasText: "Two people" }).waitFor({ timeout: 60_000 })
  const animation = await recordAnimation(page)
  await settle(page)
  await animation.frame(1_600)
  await page.getByRole("button", { name: "Cut the cable" }).click()
  await page.mouse.move(5, 5)
  await settle(page)
  await animation.frame(1_400)
  await type(page, ada, "Two people", "Start", "Ada: by boat. ", animation.frame)
  await animation.frame(500)
  await type(page, ben, "Two people", "End", " Ben: wind from the north.", animation.frame)
  await animation.frame(1_200)
  await page.getByRole("button", { name: "Mend the cable" }).click()
  await page.mouse.move(5, 5)
  for (const [device, text] of [
    [ada, "Ben: wind"],
    [ben, "Ada: by boat"],
  ] as const) {
    await device.locator(".cm-line", { hasText: text }).waitFor({ timeout: 60_000 })
  }
  await settle(page)
  await animation.frame(3_500)
  await writeFile(`${folder}merge.png`, await animation.finish())
  await page.close()
}

async function type(
  page: Page,
  device: FrameLocator,
  line: string,
  edge: "Start" | "End",
  text: string,
  frame: (delayMs: number) => Promise<void>,
): Promise<void> {
  await device.locator(".cm-line", { hasText: line }).click()
  // The paragraph is wrapped, and Home and End alone would stay in its visual line.
  await page.keyboard.press(edge === "Start" ? "Alt+ArrowLeft" : "Alt+ArrowRight")
  for (const part of text.match(/.{1,3}/g) ?? []) {
    await page.keyboard.type(part)
    await page.waitForTimeout(60)
    await frame(130)
  }
}

async function openPage(
  browser: Browser,
  viewport: { width: number; height: number },
  colorScheme: "light" | "dark",
  address: string = server.url,
): Promise<Page> {
  const context = await browser.newContext({
    viewport,
    colorScheme,
    deviceScaleFactor: viewport.width < 500 ? 2 : 1,
  })
  const page = await context.newPage()
  await page.goto(address)
  return page
}

async function name(page: Page, text: string, hue: number): Promise<void> {
  await goto(page, "/settings")
  await page.getByRole("textbox", { name: "Name, as others see it" }).fill(text)
  await page.getByRole("radio", { name: `Colour ${hue + 1}` }).check()
  await page.waitForTimeout(600)
}

async function goto(page: Page, route: string): Promise<void> {
  await page.evaluate((hash) => (location.hash = hash), `#${route}`)
}

async function settle(page: Page): Promise<void> {
  await page.evaluate(() => document.fonts.ready)
  await page.waitForTimeout(700)
}

async function shoot(page: Page, file: string): Promise<void> {
  await page.screenshot({ path: `${folder}${file}`, caret: "hide", animations: "disabled" })
  process.stdout.write(`${file}\n`)
}
