import { expect, test } from "vitest"
import { testWorkspace } from "../workspace/test-workspace.ts"
import { openTab, type Person, timeUntil, WAIT_MS } from "../workspace/workspace-page.ts"

const workspace = testWorkspace()
const { person } = workspace

function keptDrafts({ page }: Pick<Person, "page">): Promise<readonly string[]> {
  return page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes("draft")))
}

/** Two people at the board, with a task that both can see. */
async function twoAtTheBoard(): Promise<readonly [ada: Person, ben: Person]> {
  const ada = await person()
  await ada.goto("/board")
  await ada.addTask("Count birds")
  const ben = await person(await ada.invite())
  await ben.goto("/board")
  await ben.card("Count birds").waitFor()
  return [ada, ben]
}

/** The task's dialog, with the caret in its note. */
async function openNote(one: Person, title: string): Promise<ReturnType<Person["page"]["getByRole"]>> {
  await one.goto("/board")
  await one.card(title).locator(".card-face").click()
  const note = one.page.getByRole("dialog").getByRole("textbox", { name: "Note" })
  await note.click()
  return note
}

test("a task's note is saved while it is written, and reaches others", async () => {
  const [ada, ben] = await twoAtTheBoard()
  await openNote(ada, "Count birds")
  await ada.page.keyboard.type("From the dike, with the tide.")
  await ben.card("Count birds").getByText("From the dike").waitFor()
  await ada.page.reload()
  const note = ada.page.getByRole("dialog").getByRole("textbox", { name: "Note" })
  await timeUntil(
    "the note is there",
    async () => (await note.inputValue()) === "From the dike, with the tide.",
  )
})

test("what is typed in the very moment of a reload is there afterwards", async () => {
  const ada = await person()
  await ada.newDocument("Tides")
  await ada.page.waitForTimeout(1000)
  const title = ada.page.getByRole("textbox", { name: "Title" })
  await title.click()
  await ada.page.keyboard.press("End")
  await ada.page.keyboard.type(" of March")
  await ada.page.reload()
  await timeUntil("the title is there", async () => (await title.inputValue()) === "Tides of March")
  await ada.page.locator(".row", { hasText: "Tides of March" }).waitFor()
  await ada.goto("/board")
  await ada.addTask("Count birds")
  const note = await openNote(ada, "Count birds")
  await ada.page.keyboard.type("With the tide")
  await ada.page.reload()
  await timeUntil("the note is there", async () => (await note.inputValue()) === "With the tide")
  // It is stored now, and must not be typed again on the next visit.
  await ada.card("Count birds").getByText("With the tide").waitFor()
  expect(await keptDrafts(ada)).toEqual([])
})

test("what is typed in the very moment in which the tab is closed is there when it is opened again", async () => {
  const ada = await person()
  await ada.newDocument("Tides")
  await ada.page.waitForTimeout(1000)
  const address = await ada.page.evaluate(() => location.href)
  await ada.page.getByRole("textbox", { name: "Title" }).press("End")
  await ada.page.keyboard.type(" of March")
  await ada.page.close({ runBeforeUnload: true })
  const again = await openTab(ada, address)
  await again.page.locator(".row", { hasText: "Tides of March" }).waitFor()
  const title = again.page.getByRole("textbox", { name: "Title" })
  await expect.poll(() => title.inputValue(), { timeout: WAIT_MS }).toBe("Tides of March")
})

test("what somebody else wrote while this was typed is kept beside it, and can be brought back", async () => {
  const [ada, ben] = await twoAtTheBoard()
  // Ben is cut off, so that his note arrives all at once while Ada is typing.
  const note = await openNote(ada, "Count birds")
  const bens = await openNote(ben, "Count birds")
  await ben.pause()
  await openNote(ben, "Count birds")
  await bens.fill("Two at the point.")
  await ben.page.waitForTimeout(800)
  await note.click()
  const typing = ada.page.keyboard.type("The north bank first, and then the channel.", { delay: 150 })
  await ben.resume()
  await typing
  await ben.goto("/board")
  await ada.page.keyboard.press("Escape")
  await ben.page.keyboard.press("Escape")
  // Whichever note is kept, one of the two devices has the other, ready to be restored.
  const shown = async ({ page }: Person): Promise<string> => page.locator(".card-meta").first().innerText()
  await timeUntil("one note at both", async () => (await shown(ada)) === (await shown(ben)))
  const lost = (await shown(ada)).includes("north") ? "Two at the point." : "The north bank first"
  const told = await Promise.any(
    [ada, ben].map(async (one) => {
      await one.page.getByRole("button", { name: /Merged changes/ }).waitFor()
      return one
    }),
  )
  await told.page.getByRole("button", { name: /Merged changes/ }).click()
  await told.page.locator(".merges .lost", { hasText: lost }).first().waitFor()
})

test("a field keeps every word while the list behind it is still to show what was stored", async () => {
  const ada = await person(workspace.server.url, (context) =>
    context.addInitScript(() => {
      // Lists settle for a tenth of a second after each change; this makes it as long as on a slow device.
      const { setTimeout } = globalThis
      const slow = (run: () => void, ms?: number): unknown => setTimeout(run, ms === 100 ? 700 : ms)
      Object.assign(globalThis, { setTimeout: slow })
    }),
  )
  await ada.goto("/board")
  await ada.addTask("Count birds")
  const note = await openNote(ada, "Count birds")
  const words = "one word after another with a pause now and then".split(" ")
  for (const [index, word] of words.entries()) {
    await ada.page.keyboard.type(index === 0 ? word : ` ${word}`)
    // Longer than a draft waits before it is stored.
    await ada.page.waitForTimeout(500)
  }
  expect(await note.inputValue()).toBe(words.join(" "))
})

test("search finds the last words of a text, however soon the page was closed", async () => {
  const ada = await person()
  await ada.newDocument("Tides")
  await ada.editor().click()
  await ada.page.keyboard.type("The early words")
  await ada.page.waitForTimeout(3_000)
  await ada.page.keyboard.type(" and the phalarope")
  await ada.page.waitForTimeout(200)
  await ada.page.reload()
  await ada.goto("/board")
  await ada.page.getByRole("heading", { name: "Board" }).waitFor()
  await ada.page.keyboard.press("Control+k")
  await ada.page.getByRole("combobox").fill("phalarope")
  await ada.page.getByRole("option", { name: /Tides/ }).waitFor()
})

test("a task that is deleted elsewhere while it is written on can be brought back with all that was written", async () => {
  const [ada, ben] = await twoAtTheBoard()
  const note = await openNote(ben, "Count birds")
  await ben.page.keyboard.type("The north bank first. ")
  await ada.card("Count birds").getByText("The north bank first.").waitFor()
  await ada.card("Count birds").locator(".card-face").click()
  await ada.page.getByRole("button", { name: "Delete" }).click()
  await ben.page.getByText("This task was deleted on another device.").waitFor()
  await note.click()
  await ben.page.keyboard.press("End")
  await ben.page.keyboard.type("Then the point.")
  await ben.page.getByRole("button", { name: "Bring it back" }).click()
  for (const one of [ada, ben]) {
    await one.card("Count birds").getByText("The north bank first. Then the point.").waitFor()
  }
})

test("who goes elsewhere while a task is being deleted is not taken back to the board", async () => {
  const ada = await person()
  await ada.goto("/board")
  await ada.addTask("Count birds")
  await openNote(ada, "Count birds")
  await ada.page
    .getByRole("dialog")
    .getByRole("button", { name: "Delete" })
    .evaluate((button: HTMLElement) => {
      button.click()
      location.hash = "#/note"
    })
  await ada.page.getByText("Deleted “Count birds”.").waitFor()
  await ada.page.waitForTimeout(300)
  expect(await ada.page.evaluate(() => location.hash)).toBe("#/note")
  await ada.page.locator(".sheet").waitFor()
})

test("a text that becomes ready takes no words from the title that is being typed", async () => {
  let release = (): void => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  const ada = await person(workspace.server.url, (context) =>
    context.route(/\.wasm(\?|$)/, (route) => void held.then(() => route.continue())),
  )
  await ada.page.getByRole("button", { name: "New", exact: true }).click()
  const title = ada.page.getByRole("textbox", { name: "Title" })
  await title.click()
  await ada.page.keyboard.type("Tides of")
  expect(await ada.editor().count()).toBe(0)
  release()
  await ada.editor().waitFor()
  await ada.page.keyboard.type(" March")
  expect(await title.inputValue()).toBe("Tides of March")
  expect(await ada.text()).toBe("")
})
