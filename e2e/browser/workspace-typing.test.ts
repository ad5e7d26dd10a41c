import type { Locator } from "playwright-core"
import { expect, test } from "vitest"
import { testWorkspace } from "../workspace/test-workspace.ts"
import { type Person, timeUntil } from "../workspace/workspace-page.ts"

const workspace = testWorkspace()
const { person } = workspace

const holdsFocus = ({ page }: Person, selector: string): Promise<boolean> =>
  page.evaluate((wanted) => document.activeElement?.matches(wanted) ?? false, selector)

test("a dialog that closes gives the focus back, and the caret its place", async () => {
  const ada = await person()
  const { page } = ada
  const caretIsBack = async (): Promise<void> => {
    await timeUntil("the editor", () => holdsFocus(ada, ".cm-content"))
    // The editor restores the caret a moment after it gets the focus; no person types that soon.
    await page.waitForTimeout(50)
  }
  await ada.newDocument("Field notes")
  await ada.editor().click()
  await page.keyboard.type("one two")
  for (let letter = 0; letter < 4; letter++) await page.keyboard.press("ArrowLeft")
  await page.keyboard.press("Control+k")
  await page.getByRole("combobox").waitFor()
  await page.keyboard.press("Escape")
  await page.getByRole("combobox").waitFor({ state: "detached" })
  await caretIsBack()
  await page.keyboard.type("!")
  expect(await ada.text()).toBe("one! two")

  // After a palette command whose code has to be fetched, the focus returns past both.
  await page.keyboard.press("Control+k")
  await page.getByRole("combobox").fill("invite link")
  await page.keyboard.press("Enter")
  await page.getByRole("textbox", { name: "Invite link" }).waitFor()
  await page.keyboard.press("Escape")
  await page.getByRole("dialog").waitFor({ state: "detached" })
  await caretIsBack()
  await page.keyboard.type("?")
  expect(await ada.text()).toBe("one!? two")

  await page.locator(".side-foot .button").press("Enter")
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).click()
  await timeUntil("the button", () => holdsFocus(ada, ".side-foot .button"))

  await ada.goto("/board")
  await ada.addTask("Borrow a scope")
  await ada.card("Borrow a scope").locator(".card-face").press("Enter")
  await page.getByRole("dialog", { name: "Task" }).waitFor()
  await page.keyboard.press("Escape")
  await timeUntil("the card", () => holdsFocus(ada, ".card-face"))
})

test("tags and tasks typed one after the other stay apart, and in order", async () => {
  const ada = await person()
  await ada.newDocument("Tagged")
  await ada.page.getByRole("textbox", { name: "Add a tag" }).click()
  for (const tag of ["field", "guide", "waders", "winter"]) {
    await ada.page.keyboard.type(tag)
    await ada.page.keyboard.press("Enter")
  }
  const tags = ada.page.locator(".tags .tag")
  await timeUntil("four tags", async () => (await tags.count()) === 4)
  expect(await tags.allInnerTexts()).toEqual(["field", "guide", "waders", "winter"])
  await ada.goto("/board")
  await ada.page.getByRole("textbox", { name: "New task in To do" }).click()
  const titles = ["One", "Two", "Three", "Four", "Five"]
  for (const title of titles) {
    await ada.page.keyboard.type(title)
    await ada.page.keyboard.press("Enter")
  }
  await ada.card("Five").waitFor()
  expect(await ada.page.locator(".card-title").allInnerTexts()).toEqual(titles)
})

test("whoever looks for something is told how often it is there", async () => {
  const ada = await person()
  const { page } = ada
  await ada.newDocument("To search")
  await ada.editor().click()
  await page.keyboard.type("dunlin, knot, dunlin, ruff, Dunlin")
  await page.keyboard.press("Control+f")
  const count = page.locator(".cm-search").getByRole("status")
  const says = (words: string): Promise<number> =>
    timeUntil(words, async () => (await count.innerText()) === words)
  await page.keyboard.type("dunlin")
  await says("3 found")
  await page.keyboard.press("Enter")
  await says("1 of 3")
  await page.keyboard.press("Enter")
  await says("2 of 3")
  await page.getByLabel("Match case").check()
  await says("2 of 2")
  await page.getByRole("textbox", { name: "Find" }).press("Control+a")
  await page.keyboard.type("curlew")
  await says("Not found")
  // A panel that is reopened shows the count too, for the text that is selected.
  await page.keyboard.press("Escape")
  await count.waitFor({ state: "detached" })
  await page.keyboard.press("Control+f")
  await says("2 of 2")
})

test("a way to take something back stays while one is about to use it", async () => {
  const ada = await person()
  await ada.newDocument("Put away")
  await ada.page.getByRole("button", { name: "Document", exact: true }).click()
  await ada.page.getByRole("menuitem", { name: "Archive" }).click()
  const undo = ada.page.locator(".toast").getByRole("button", { name: "Undo" })
  await undo.hover()
  await ada.page.waitForTimeout(6_500)
  await undo.focus()
  await ada.page.mouse.move(10, 10)
  await ada.page.waitForTimeout(6_500)
  await undo.press("Enter")
  await ada.page.locator(".row", { hasText: "Put away" }).waitFor()
})

test("a file that cannot be imported is told of beside the button", async () => {
  const ada = await person()
  await ada.goto("/settings")
  await ada.page
    .getByLabel("Files to import")
    .setInputFiles({ name: "no.zip", mimeType: "application/zip", buffer: Buffer.from("no zip at all") })
  await ada.page.locator(".settings").getByRole("status").getByText("Could not import: ").waitFor()
  expect(await ada.page.locator(".toast").count()).toBe(0)
})

test("fingers find targets of their size, and fields that no phone zooms to", async () => {
  const ada = await person()
  const { page } = ada
  await page.setViewportSize({ width: 390, height: 844 })
  const session = await ada.context.newCDPSession(page)
  await session.send("Emulation.setTouchEmulationEnabled", { enabled: true, maxTouchPoints: 1 })
  expect(await page.evaluate(() => matchMedia("(pointer: coarse)").matches)).toBe(true)
  const tooSmall = (): Promise<readonly string[]> =>
    page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>("button, input, select, summary, .icon-button")]
        .filter(
          (element) => element.checkVisibility() && element.closest(".segments, .visually-hidden") === null,
        )
        .filter((element) => {
          const { width, height } = element.getBoundingClientRect()
          const isField = element instanceof HTMLInputElement
          const letters = Number.parseFloat(getComputedStyle(element).fontSize)
          // Phones zoom in on a field with letters under 16 px; everything else must be the size of a fingertip.
          return isField ? letters < 16 : Math.round(Math.min(width, height)) < 44
        })
        .map((element) => `${element.className} ${element.ariaLabel ?? element.textContent}`),
    )
  await page.getByRole("button", { name: /Start from a sample/ }).click()
  await page.locator(".row").first().waitFor()
  for (const route of ["/documents", "/board", "/people", "/settings"]) {
    await ada.goto(route)
    await page.locator("h1").first().waitFor({ state: "attached" })
    expect(await tooSmall(), route).toEqual([])
  }
  await ada.goto("/documents")
  await ada.openDocument("Winter count")
  await page.keyboard.press("Control+k")
  await page.getByRole("combobox").waitFor()
  expect(await tooSmall(), "a document and the palette").toEqual([])
})

test("a card is deleted from its menu, the next one has the focus, and it can be taken back", async () => {
  const ada = await person()
  await ada.goto("/board")
  for (const title of ["First", "Second"]) await ada.addTask(title)
  const remove = async (title: string): Promise<void> => {
    await ada.page.getByRole("button", { name: `Actions for “${title}”` }).focus()
    await ada.page.keyboard.press("Enter")
    await ada.page.getByRole("menuitem", { name: "Delete" }).press("Enter")
    await ada.card(title).waitFor({ state: "detached" })
  }
  const hasFocus = (locator: Locator): Promise<boolean> =>
    locator.evaluate((element) => element === document.activeElement)
  await remove("First")
  expect(await hasFocus(ada.card("Second").locator(".card-face"))).toBe(true)
  await remove("Second")
  expect(await hasFocus(ada.page.getByRole("textbox", { name: "New task in To do" }))).toBe(true)
  await ada.page.locator(".toast", { hasText: "First" }).getByRole("button", { name: "Undo" }).click()
  await ada.card("First").waitFor()
})
