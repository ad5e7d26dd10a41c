import type { Locator } from "playwright-core"
import { expect, test } from "vitest"
import { letMinutesPass } from "../workspace/page-clock.ts"
import { say } from "../workspace/report.ts"
import { openStranger } from "../workspace/stranger.ts"
import { testWorkspace } from "../workspace/test-workspace.ts"
import { type Person, timeUntil } from "../workspace/workspace-page.ts"
import { longHistory } from "../workspace/long-history.ts"

const workspace = testWorkspace({ browsers: 2 })
const { person } = workspace

const rows = ({ page }: Person): Locator => page.locator(".history-step")
const version = ({ page }: Person): Locator => page.getByTestId("history-text")

async function openHistory(one: Person): Promise<void> {
  await one.page.getByRole("button", { name: "History", exact: true }).click()
  await one.page.locator(".history-step, .history-none").first().waitFor()
}

async function closeHistory(one: Person): Promise<void> {
  await one.page.getByRole("button", { name: "Close", exact: true }).click()
  await one.editor().waitFor()
}

async function write(one: Person, text: string): Promise<void> {
  await one.editor().click()
  await one.page.keyboard.press("Control+End")
  await one.page.keyboard.type(text)
}

async function nameIs(one: Person, name: string): Promise<void> {
  await one.goto("/settings")
  await one.page.getByRole("textbox", { name: "Name, as others see it" }).fill(name)
  await one.page.getByRole("textbox", { name: "Name, as others see it" }).blur()
  await one.goto("/documents")
}

/** Who wrote each step, newest first. */
const writers = async (one: Person): Promise<readonly string[]> =>
  one.page.locator(".history-who").allInnerTexts()

const bothHave = (people: readonly Person[], text: string): Promise<number> =>
  timeUntil(`both have "${text}"`, async () => {
    for (const one of people) if (!(await one.text()).includes(text)) return false
    return true
  })

test("what somebody wrote in one go is one step, and a longer pause begins the next", async () => {
  const ada = await person()
  const { page } = ada
  await ada.newDocument("With a past")
  await openHistory(ada)
  await page.getByText("Nothing has been written here yet.").waitFor()
  await closeHistory(ada)
  await write(ada, "first words of many, typed letter by letter")
  await letMinutesPass(ada, 3)
  await write(ada, " and some more")
  await letMinutesPass(ada, 30)
  await write(ada, "\nafter lunch")
  await openHistory(ada)
  await expect.poll(() => rows(ada).count()).toBe(2)
  const [newest, oldest] = await rows(ada).allInnerTexts()
  expect(newest).toMatch(/You[\s\S]*Now[\s\S]*after lunch[\s\S]*\+12/)
  expect(oldest).toMatch(/You[\s\S]*\d\d:\d\d–\d\d:\d\d[\s\S]*first words of many[\s\S]*\+57/)
  // The step's changes are marked; the earlier text is not.
  await expect.poll(() => version(ada).locator("ins").allInnerTexts()).toEqual(["\nafter lunch"])
  await rows(ada).nth(1).click()
  await expect
    .poll(() => version(ada).innerText())
    .toBe("first words of many, typed letter by letter and some more")
  await page.getByRole("slider").fill("5")
  await expect.poll(() => version(ada).innerText()).toMatch(/^f[a-z ]{1,30}$/)
})

test("a former version comes back as a new step, and taking that back leaves what came after", async () => {
  const ada = await person()
  const { page } = ada
  await ada.newDocument("Restored")
  await write(ada, "the first version")
  await letMinutesPass(ada, 30)
  await write(ada, " and the second")
  const focused = (name: string): Promise<number> =>
    timeUntil(`the focus on ${name}`, () =>
      page.evaluate(
        (text) =>
          `${document.activeElement?.ariaLabel} ${document.activeElement?.textContent}`.includes(text),
        name,
      ),
    )
  await openHistory(ada)
  await focused("and the second")
  await page.keyboard.press("Escape")
  await focused("History")
  await page.keyboard.press("Enter")
  await focused("and the second")
  expect(await page.getByRole("button", { name: "Restore this version" }).isDisabled()).toBe(true)
  await page.keyboard.press("ArrowDown")
  await focused("the first version")
  await page.getByRole("button", { name: "Restore this version" }).click()
  await timeUntil("the former text", async () => (await ada.text()) === "the first version")
  await write(ada, ", kept")
  await page.getByRole("button", { name: "Undo" }).click()
  await timeUntil("both", async () => {
    const text = await ada.text()
    return text.includes("and the second") && text.includes(", kept")
  })
  await openHistory(ada)
  await expect.poll(() => page.getByText("Brought back an earlier version").count()).toBe(2)
  // The history has lost nothing.
  await rows(ada).last().click()
  await expect.poll(() => version(ada).innerText()).toBe("the first version")
})

test("somebody else's edit begins a step, and those who type at once share one", async () => {
  const [ada, ben] = await pair()
  await write(ada, "Ada begins. ")
  await bothHave([ada, ben], "Ada begins.")
  for (const one of [ada, ben]) await letMinutesPass(one, 1)
  await write(ben, "Ben goes on. ")
  await bothHave([ada, ben], "Ben goes on.")
  for (const one of [ada, ben]) await letMinutesPass(one, 1)
  await write(ada, "Ada ends. ")
  await bothHave([ada, ben], "Ada ends.")
  await openHistory(ada)
  await expect.poll(() => writers(ada)).toEqual(["You", "Ben", "You"])
  await rows(ada).nth(1).click()
  await expect.poll(() => version(ada).locator("ins").allInnerTexts()).toEqual(["Ben goes on. "])
  await closeHistory(ada)
  for (const one of [ada, ben]) await letMinutesPass(one, 30)
  for (let turn = 0; turn < 4; turn++)
    for (const one of [ada, ben]) {
      await write(one, `${turn}${one === ada ? "a" : "b"} `)
      await bothHave([ada, ben], `${turn}${one === ada ? "a" : "b"} `)
    }
  await openHistory(ada)
  await expect.poll(() => writers(ada)).toEqual(["You and Ben", "You", "Ben", "You"])
  // Names remain after their owners have left.
  await ben.page.close()
  await ada.page.reload()
  await ada.editor().waitFor()
  await openHistory(ada)
  await expect.poll(() => writers(ada)).toEqual(["You and Ben", "You", "Ben", "You"])
  await ada.page.getByRole("button", { name: "Close", exact: true }).click()
})

test("what two wrote apart stays whole, in the same order at both", async () => {
  const [ada, ben] = await pair()
  await write(ada, "start ")
  await bothHave([ada, ben], "start")
  for (const one of [ada, ben]) {
    await letMinutesPass(one, 20)
    await one.pause()
    await one.editor().waitFor()
  }
  for (let turn = 0; turn < 3; turn++) {
    await write(ada, `ada${turn} `)
    await write(ben, `ben${turn} `)
    for (const one of [ada, ben]) await letMinutesPass(one, 1.5)
  }
  for (const one of [ada, ben]) await one.resume()
  await bothHave([ada, ben], "ada2")
  await bothHave([ada, ben], "ben2")
  const seen: string[][] = []
  for (const one of [ada, ben]) {
    await openHistory(one)
    await expect.poll(() => rows(one).count()).toBe(3)
    seen.push(await one.page.locator(".history-what").allInnerTexts())
    await rows(one).last().click()
    await expect.poll(() => version(one).innerText()).toBe("start ")
  }
  expect(seen[0]).toEqual(seen[1])
  expect([...(seen[0] ?? [])].sort()).toEqual(["ada0 ada1 ada2", "ben0 ben1 ben2", "start"])
})

test("a history of ten thousand changes opens, and shows more when asked", async () => {
  const ada = await person()
  const { page } = ada
  await ada.newDocument("Long")
  const id = await page.evaluate(() => location.hash.split("/").at(-1) ?? "")
  const stranger = await openStranger(workspace.server.url, await ada.invite())
  const { update, changes, text } = longHistory(10_000)
  try {
    await stranger.writeText(id, update)
    await timeUntil("all has come", async () => (await ada.text()).includes(text.slice(0, 40)), 120_000)
  } finally {
    await stranger.close()
  }
  expect(changes).toBeGreaterThanOrEqual(10_000)
  const started = performance.now()
  await openHistory(ada)
  say(`a history of ${changes} changes: ${Math.round(performance.now() - started)} ms`)
  await expect.poll(() => rows(ada).count()).toBe(40)
  await page.getByRole("button", { name: "Show older" }).click()
  await expect.poll(() => rows(ada).count()).toBe(80)
  // The focus is on the first of the added steps.
  await expect
    .poll(() =>
      rows(ada)
        .nth(40)
        .evaluate((row) => row === document.activeElement),
    )
    .toBe(true)
  const oldest = performance.now()
  await rows(ada).nth(79).click()
  await timeUntil("the step has marks", async () => (await version(ada).locator("ins").count()) > 0, 60_000)
  say(`opening its 80th step: ${Math.round(performance.now() - oldest)} ms`)
  expect(ada.errors).toEqual([])
})

test("the first change of a step is in sight, however far down", async () => {
  const ada = await person()
  const { page } = ada
  await ada.newDocument("Far down")
  await ada.editor().click()
  await page.keyboard.insertText("A line of a long text.\n".repeat(120))
  await letMinutesPass(ada, 30)
  await page.keyboard.type("the end")
  await openHistory(ada)
  const mark = version(ada).locator("ins")
  await expect.poll(() => mark.allInnerTexts()).toEqual(["the end"])
  const isInSight = await mark.evaluate((element) => {
    const { top, bottom } = element.getBoundingClientRect()
    return top > 0 && bottom < innerHeight
  })
  expect(isInSight).toBe(true)
  // A change longer than the page is shown from its beginning.
  await rows(ada).last().click()
  await expect.poll(async () => (await mark.allInnerTexts()).join("").length).toBeGreaterThan(2_000)
  const beginsInSight = (): Promise<boolean> =>
    mark.first().evaluate((element) => {
      const { top } = element.getBoundingClientRect()
      return top > 0 && top < innerHeight
    })
  await expect.poll(beginsInSight).toBe(true)
})

test("what is written while the history is open is told of, and shown when asked", async () => {
  const [ada, ben] = await pair()
  await write(ada, "Ada begins. ")
  await bothHave([ada, ben], "Ada begins.")
  await openHistory(ada)
  await expect.poll(() => rows(ada).count()).toBe(1)
  await letMinutesPass(ben, 1)
  await write(ben, "Ben too.")
  await ada.page.getByRole("button", { name: "Show newer changes" }).click()
  await expect.poll(() => writers(ada)).toEqual(["Ben", "You"])
  await expect.poll(() => ada.page.getByRole("button", { name: "Show newer changes" }).count()).toBe(0)
})

/** Ada, and Ben in another browser, with the same document open. */
async function pair(): Promise<readonly [Person, Person]> {
  const ada = await person()
  await nameIs(ada, "Ada")
  await ada.newDocument("Shared")
  const ben = await person(await ada.invite())
  await nameIs(ben, "Ben")
  await ben.openDocument("Shared")
  return [ada, ben]
}
