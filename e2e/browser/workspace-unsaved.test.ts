import { expect, test } from "vitest"
import { testWorkspace } from "../workspace/test-workspace.ts"
import { type Person, timeUntil } from "../workspace/workspace-page.ts"

const workspace = testWorkspace()
const { person } = workspace

/** The task's dialog, with the caret in its note. */
async function openNote(one: Person, title: string): Promise<ReturnType<Person["page"]["getByRole"]>> {
  await one.goto("/board")
  await one.card(title).locator(".card-face").click()
  const note = one.page.getByRole("dialog").getByRole("textbox", { name: "Note" })
  await note.click()
  return note
}

test("a task's note is saved while it is written, and reaches others", async () => {
  const ada = await person()
  await ada.goto("/board")
  await ada.addTask("Count birds")
  const ben = await person(await ada.invite())
  await ben.goto("/board")
  await ben.card("Count birds").waitFor()
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
  // It is stored now, and not typed again at the next visit.
  await ada.card("Count birds").getByText("With the tide").waitFor()
  expect(await ada.page.evaluate(() => sessionStorage.length)).toBe(0)
})

test("a task that is deleted elsewhere while it is written on can be brought back with all that was written", async () => {
  const ada = await person()
  await ada.goto("/board")
  await ada.addTask("Count birds")
  const ben = await person(await ada.invite())
  await ben.goto("/board")
  await ben.card("Count birds").waitFor()
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
