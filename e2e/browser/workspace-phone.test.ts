import type { Locator } from "playwright-core"
import { expect, test } from "vitest"
import { testWorkspace } from "../workspace/test-workspace.ts"
import type { Person } from "../workspace/workspace-page.ts"

const { person } = testWorkspace()
const PHONE = { width: 390, height: 844 }

const menus = ({ page }: Person): Locator => page.locator('[aria-haspopup="menu"]:visible')
const items = ({ page }: Person): Locator => page.locator('[role="menuitem"]:visible')

async function onPhone(): Promise<Person> {
  const ada = await person()
  await ada.newDocument("On the way")
  await ada.editor().click()
  await ada.page.keyboard.type("Some words.")
  await ada.page.setViewportSize(PHONE)
  return ada
}

test("a document on a phone has one menu, and it opens where the thumb is", async () => {
  const ada = await onPhone()
  await expect.poll(() => menus(ada).count()).toBe(1)
  await menus(ada).click()
  await expect.poll(() => items(ada).allInnerTexts()).toEqual(["History", "Archive", "Share…", "Settings"])
  await ada.page.evaluate(() => Promise.allSettled(document.getAnimations().map(({ finished }) => finished)))
  for (const item of await items(ada).all()) {
    const box = await item.boundingBox()
    expect(box?.y).toBeGreaterThan(PHONE.height / 2)
    expect(box?.height).toBeGreaterThanOrEqual(44)
    expect(box?.width).toBeGreaterThan(PHONE.width * 0.8)
  }
  await items(ada).getByText("Archive").click()
  await ada.page
    .getByText("The only document is archived.")
    .or(ada.page.getByText("There are no documents."))
    .first()
    .waitFor()
  // On other screens the menu has the items that apply there.
  await ada.page.getByRole("button", { name: "More" }).click()
  await expect.poll(() => items(ada).allInnerTexts()).toEqual(["Share…", "Settings"])
})

test("the history of a document on a phone: text above, steps below, one way back", async () => {
  const ada = await onPhone()
  const { page } = ada
  await menus(ada).click()
  await items(ada).getByText("History").click()
  await page.locator(".history-step").first().waitFor()
  const [text, steps, tabs] = await Promise.all([
    page.getByTestId("history-text").boundingBox(),
    page.locator(".history-steps").boundingBox(),
    page.getByRole("navigation", { name: "Sections" }).boundingBox(),
  ])
  if (text === null || steps === null || tabs === null) throw new Error("not on the screen")
  expect(text.height).toBeGreaterThan(150)
  expect(steps.y).toBeGreaterThanOrEqual(text.y + text.height)
  expect(steps.height).toBeGreaterThan(150)
  expect(steps.y + steps.height).toBeLessThanOrEqual(tabs.y)
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
  await page.keyboard.press("Escape")
  await ada.editor().waitFor()
  await expect.poll(() => menus(ada).evaluate((button) => button === document.activeElement)).toBe(true)
})

test("a phone on its side shows some of the text below what is said about the document, and finds in it", async () => {
  const ada = await onPhone()
  const { page } = ada
  await page.setViewportSize({ width: PHONE.height, height: PHONE.width })
  await page.locator(".about summary").click()
  await page.getByRole("textbox", { name: "Description" }).waitFor()
  const line = await page.locator(".cm-line").boundingBox()
  const foot = await page.locator(".editor-foot").boundingBox()
  if (line === null || foot === null) throw new Error("not on the screen")
  expect(line.y + line.height).toBeLessThanOrEqual(foot.y)

  await page.setViewportSize(PHONE)
  await ada.editor().click()
  await page.keyboard.press("Control+f")
  const tops = await Promise.all(
    ["next", "prev", "select"].map((name) => page.locator(`.cm-search [name="${name}"]`).boundingBox()),
  )
  expect(new Set(tops.map((box) => box?.y)).size).toBe(1)
})
