import type { Page } from "puppeteer-core"
import { afterEach, beforeAll, expect, test } from "vitest"
import { type FirefoxProfile, launchFirefox } from "./harness/firefox.ts"
import { findChromium, findFirefox } from "./harness/find-browser.ts"
import { reportTime } from "../workspace/report.ts"
import { openPerson, type Person, timeUntil } from "../workspace/workspace-page.ts"
import { startWorkspaceServer, type WorkspaceServer } from "../workspace/workspace-server.ts"

const noFirefox = findFirefox() === null
const noChromium = findChromium() === null
if (noFirefox || noChromium)
  console.log(
    `skipped: the workspace in Chromium and Firefox: no ${noFirefox ? "Firefox" : "Chromium"} is installed`,
  )

let server: WorkspaceServer
beforeAll(async () => {
  server = await startWorkspaceServer()
  return () => server.close()
})

let ada: Person | null = null
let firefox: FirefoxProfile | null = null
afterEach(async () => {
  await ada?.close()
  await firefox?.close()
  ada = null
  firefox = null
})

test.skipIf(noFirefox)("Firefox keeps what was typed, without anybody else", async () => {
  firefox = await launchFirefox()
  const page = await firefox.browser.newPage()
  const errors = errorsOf(page)
  await page.goto(server.url)
  await page.waitForSelector("::-p-aria([name='New'][role='button'])", { timeout: 60_000 })
  await page.click("::-p-aria([name='New'][role='button'])")
  await page.waitForSelector(".cm-content", { timeout: 60_000 })
  await page.click(".cm-content")
  await page.keyboard.type("kept")
  await timeUntil("saved", async () => (await syncLine(page)) === "Saved on this device", 60_000)
  await page.reload()
  await page.waitForSelector(".cm-content", { timeout: 60_000 })
  await timeUntil("shown again", async () => (await textIn(page)) === "kept", 60_000)
  expect(errors).toEqual([])
})

test.skipIf(noFirefox || noChromium)("Chromium and Firefox share, type and see each other", async () => {
  ada = await openPerson(server.url)
  await ada.newDocument("Across browsers")
  const link = await ada.invite()
  firefox = await launchFirefox()
  const ben = await firefox.browser.newPage()
  const errors = errorsOf(ben)
  const started = performance.now()
  await ben.goto(link)
  const row = await ben.waitForSelector(".row", { timeout: 60_000 })
  reportTime("listed in Firefox", performance.now() - started, 5_000)
  expect(ben.url()).not.toContain(link.split("#")[1])
  await row?.click()
  await ben.waitForSelector(".cm-content", { timeout: 60_000 })
  await ben.click(".cm-content")
  await ada.editor().click()
  await Promise.all([
    ada.page.keyboard.type("abcdefghij".repeat(5)),
    ben.keyboard.type("0123456789".repeat(5)),
  ])
  const chromium = ada
  const ms = await timeUntil("equal texts", async () => {
    const [one, two] = [await chromium.text(), await textIn(ben)]
    return one === two && one.length === 100
  })
  reportTime("equal in Chromium and Firefox after the last key", ms, 2_000)
  await ada.page.locator(".dunlin-caret-name").first().waitFor({ state: "attached" })
  await ben.waitForSelector(".dunlin-caret-name", { timeout: 30_000 })
  const left = performance.now()
  await firefox.close()
  firefox = null
  await timeUntil(
    "caret gone",
    async () => (await chromium.page.locator(".dunlin-caret-name").count()) === 0,
    60_000,
  )
  reportTime("caret gone after Firefox closed", performance.now() - left, 5_000)
  expect(errors).toEqual([])
})

function errorsOf(page: Page): readonly string[] {
  const errors: string[] = []
  page.on("pageerror", (error) => errors.push(String(error)))
  return errors
}

function syncLine(page: Page): Promise<string> {
  return page.$eval("[data-testid=sync]", (line) => line.textContent)
}

function textIn(page: Page): Promise<string> {
  return page.evaluate(() =>
    [...document.querySelectorAll(".cm-line")]
      .map((line) => {
        const copy = line.cloneNode(true) as HTMLElement
        for (const extra of copy.querySelectorAll(".cm-widgetBuffer")) extra.remove()
        return copy.textContent
      })
      .join("\n"),
  )
}
