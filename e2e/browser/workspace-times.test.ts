import { expect, test } from "vitest"
import { letMinutesPass } from "../workspace/page-clock.ts"
import { sampleArchive } from "../workspace/sample-archive.ts"
import { testWorkspace } from "../workspace/test-workspace.ts"
import { WAIT_MS } from "../workspace/workspace-page.ts"

const { person } = testWorkspace()

test("what is imported keeps its times and its order, and what is written comes first", async () => {
  const ada = await person()
  await ada.page.getByRole("button", { name: /Start from a sample/ }).click()
  await ada.page.locator(".row").nth(3).waitFor()
  // A device notes its person's name in each new text; that is not writing.
  await ada.page.waitForTimeout(3_000)
  const rows = (): Promise<readonly string[]> =>
    ada.page.locator(".row-title > span:first-child").allInnerTexts()
  expect(await rows()).toEqual(["Winter count: how we do it", "Sunday, 14 January", "Tide table", "Ideas for the spring report"]) // prettier-ignore
  expect(await ada.page.locator(".row time").allInnerTexts()).toEqual([
    "just now",
    "7 h ago",
    "14 h ago",
    "21 h ago",
  ])
  await ada.openDocument("Tide table")
  await ada.editor().click()
  await ada.page.keyboard.type("Spring tide. ")
  await expect.poll(async () => (await rows())[0], { timeout: WAIT_MS }).toBe("Tide table")
})

test("how long ago something was stays true while it is shown", async () => {
  const ada = await person()
  await ada.newDocument("Left alone")
  const time = ada.page.locator(".row time")
  await ada.page.locator(".row", { hasText: "Left alone" }).waitFor()
  expect(await time.innerText()).toBe("just now")
  await letMinutesPass(ada, 5)
  await expect.poll(() => time.innerText(), { timeout: WAIT_MS }).toBe("5 min ago")
  expect(await time.getAttribute("title")).toMatch(/\d{4}, \d{2}:\d{2}$/)
})

test("the board never counts tasks that it has not read", async () => {
  const ada = await person()
  await ada.goto("/settings")
  const file = { name: "tasks.zip", mimeType: "application/zip", buffer: sampleArchive({ documents: 0, tasks: 1_500 }) }
  await ada.page.getByLabel("Files to import").setInputFiles(file)
  await ada.page.getByText(/^Imported/).waitFor()
  await ada.goto("/board")
  await ada.page.addInitScript({
    content: `
      globalThis.counted = new Set()
      new MutationObserver(() => {
        const count = document.querySelector('[data-column="todo"] .numbers')?.textContent
        if (count !== undefined) counted.add(count)
      }).observe(document, { childList: true, characterData: true, subtree: true })`,
  })
  await ada.page.reload()
  await ada.page.locator(".card").first().waitFor()
  const counted = await ada.page.evaluate(() => [...(globalThis as unknown as { counted: Set<string> }).counted])
  expect(counted).toEqual(["500"])
}) // prettier-ignore

test("each page is named after what it shows", async () => {
  const ada = await person()
  await ada.newDocument("Tides")
  await expect.poll(() => ada.page.title()).toBe("Tides · Dunlin")
  await ada.page.getByRole("textbox", { name: "Title" }).fill("Tides\u202Eand wind")
  await expect.poll(() => ada.page.title()).toBe("Tides and wind · Dunlin")
  await ada.goto("/board")
  await expect.poll(() => ada.page.title()).toBe("Board · Dunlin")
})
