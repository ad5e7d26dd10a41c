import type { Locator } from "playwright-core"
import { expect, test } from "vitest"
import { testWorkspace } from "../workspace/test-workspace.ts"
import { type Person, WAIT_MS } from "../workspace/workspace-page.ts"

const { person } = testWorkspace()

const directionOf = (locator: Locator): Promise<string> =>
  locator.first().evaluate((element) => getComputedStyle(element).direction)

async function startFromSample({ page }: Person): Promise<void> {
  await page.getByRole("button", { name: /Start from a sample/ }).click()
  await page.locator(".row").first().waitFor()
}

test("each text runs in its own direction", async () => {
  const ada = await person()
  await ada.newDocument("تقرير الطيور")
  await ada.editor().click()
  await ada.page.keyboard.insertText("# هذا نص\n\nPlain words.\n\nשלום עולם")
  const lines = ada.page.locator(".cm-line")
  await expect
    .poll(async () => [
      await directionOf(lines.nth(0)),
      await directionOf(lines.nth(2)),
      await directionOf(lines.nth(4)),
    ])
    .toEqual(["rtl", "ltr", "rtl"])
  expect(await directionOf(ada.page.getByRole("textbox", { name: "Title" }))).toBe("rtl")
  expect(await directionOf(ada.page.locator(".row-title > span"))).toBe("rtl")
  // A line that is typed anew turns as soon as its first letter says so.
  await ada.page.keyboard.press("Enter")
  await ada.page.keyboard.type("English again")
  await expect.poll(() => directionOf(lines.nth(5))).toBe("ltr")
  await ada.goto("/board")
  await ada.addTask("مهمة")
  await ada.addTask("A task")
  expect(await directionOf(ada.card("مهمة").locator(".card-title"))).toBe("rtl")
  expect(await directionOf(ada.card("A task").locator(".card-title"))).toBe("ltr")
  await ada.goto("/note")
  const note = ada.page.getByRole("textbox", { name: "Quick note" })
  await ada.page.locator(".sheet:enabled").waitFor()
  await note.fill("שלום")
  expect(await directionOf(note)).toBe("rtl")
})

test("with letters twice as large, rows and cards grow, and a card is dropped where it is seen", async () => {
  const ada = await person()
  await startFromSample(ada)
  await ada.page.addStyleTag({ content: ":root { font-size: 200% }" })
  // Whatever a row shows must end before the next row begins.
  const overlaps = (row: string): Promise<number> =>
    ada.page.locator(row).evaluateAll((rows) => {
      const boxes = rows
        .map((element) => ({
          top: element.getBoundingClientRect().top,
          bottom: Math.max(...[...element.querySelectorAll("span")].map((part) => part.getBoundingClientRect().bottom)),
        }))
        .sort((a, b) => a.top - b.top)
      return boxes.filter(({ bottom }, at) => bottom > (boxes[at + 1]?.top ?? Infinity)).length
    }) // prettier-ignore
  expect(await overlaps(".row")).toBe(0)
  await ada.goto("/board")
  await ada.page.locator(".card").nth(3).waitFor()
  for (const column of ["todo", "doing", "done"])
    expect(await overlaps(`[data-column="${column}"] .card`)).toBe(0)
  const todo = ada.page.locator('[data-column="todo"] .card-face')
  const [first, second] = [await todo.nth(0).boundingBox(), await todo.nth(1).boundingBox()]
  if (first === null || second === null) throw new Error("not on the screen")
  await ada.page.mouse.move(first.x + 30, first.y + 30)
  await ada.page.mouse.down()
  await ada.page.mouse.move(first.x + 30, second.y + 40, { steps: 8 })
  await ada.page.mouse.up()
  await expect
    .poll(() => ada.page.locator('[data-column="todo"] .card-title').first().innerText())
    .toBe("Print sheets for the channel sector")
})

test("with letters twice as large on a phone, those who are here leave the tags free", async () => {
  const ada = await person()
  const invite = await ada.invite()
  await ada.newDocument("Tides")
  for (let others = 0; others < 5; others++) {
    const other = await person(invite)
    await other.openDocument("Tides")
  }
  await ada.page.setViewportSize({ width: 360, height: 740 })
  await ada.page.addStyleTag({ content: ":root { font-size: 200% }" })
  const avatars = ada.page.locator(".document-tools .avatar")
  await expect.poll(() => avatars.count()).toBe(5)
  const tags = await ada.page.locator(".tags input").boundingBox()
  if (tags === null) throw new Error("not on the screen")
  expect(tags.width).toBeGreaterThan(100)
  const lefts = await avatars.evaluateAll((all) => all.map((one) => one.getBoundingClientRect().left))
  expect(Math.min(...lefts)).toBeGreaterThanOrEqual(tags.x + tags.width)
  const lines = await ada.page.locator(".tabs a").evaluateAll((links) =>
    links.map((link) => {
      const word = new Range()
      word.selectNodeContents(link.lastChild ?? link)
      return word.getClientRects().length
    }),
  )
  expect(lines).toEqual([1, 1, 1, 1])
  await ada.goto("/people")
  const [card, pause] = [
    await ada.page.locator(".people-sync").boundingBox(),
    await ada.page.getByRole("button", { name: "Pause sync" }).boundingBox(),
  ]
  expect((pause?.x ?? 0) + (pause?.width ?? 999)).toBeLessThanOrEqual((card?.x ?? 0) + (card?.width ?? 0))
})

test("with colours chosen in the system, one sees what is current, pressed and whose", async () => {
  const ada = await person()
  await startFromSample(ada)
  await ada.page.emulateMedia({ forcedColors: "active" })
  await ada.openDocument("Winter count")
  const backgrounds = (selector: string): Promise<readonly string[]> =>
    ada.page
      .locator(selector)
      .evaluateAll((elements) => elements.map((element) => getComputedStyle(element).backgroundColor))
  expect(new Set(await backgrounds(".side li a")).size).toBe(2)
  expect(new Set(await backgrounds(".segments button")).size).toBe(2)
  expect(new Set(await backgrounds(".row")).size).toBe(2)
  await ada.goto("/settings")
  await ada.page.locator(".hues input").first().waitFor()
  expect(new Set(await backgrounds(".hues input")).size).toBe(8)
})

test("a new document is named first, a long title is read in full, and Enter leads on to the text", async () => {
  const ada = await person()
  const title =
    "What we saw at the point on the second Sunday of January, and what we did not see, although we stood there from low water to high water and looked in all directions, with two scopes and a good thermos"
  await ada.page.getByRole("button", { name: "New", exact: true }).click()
  const field = ada.page.getByRole("textbox", { name: "Title" })
  await field.waitFor()
  await ada.page.keyboard.type(title)
  await ada.editor().waitFor()
  await ada.page.setViewportSize({ width: 390, height: 844 })
  const hidden = await field.evaluate((element) => ({
    across: element.scrollWidth - element.clientWidth,
    below: element.scrollHeight - element.clientHeight,
  }))
  expect(hidden.across).toBeLessThanOrEqual(1)
  expect(hidden.below).toBeLessThanOrEqual(1)
  await ada.page.keyboard.press("Enter")
  await ada.page.keyboard.type("Knots.")
  await expect.poll(() => ada.text(), { timeout: WAIT_MS }).toBe("Knots.")
  expect(await field.inputValue()).toBe(title)
  // Lines that are pasted become one.
  await field.fill("Two\nlines")
  await field.blur()
  await expect.poll(() => field.inputValue(), { timeout: WAIT_MS }).toBe("Two lines")
})

test("a line of a list that is broken goes on below its text, and begins where it would without", async () => {
  const ada = await person()
  await ada.newDocument("A list")
  await ada.editor().click()
  await ada.page.keyboard.insertText(`- ${"word ".repeat(60)}\n\nplain`)
  const item = ada.page.locator(".cm-line.md-hang")
  await item.waitFor()
  const { mark, first, second, plain } = await ada.page.evaluate(() => {
    const [list, , end] = [...document.querySelectorAll(".cm-line")]
    const leftOf = (line: Element | undefined, at: number): number => {
      const texts = document.createTreeWalker(line ?? document, NodeFilter.SHOW_TEXT)
      let left = at
      for (let node = texts.nextNode(); node !== null; node = texts.nextNode()) {
        const length = node.textContent?.length ?? 0
        if (left >= length) left -= length
        else {
          const range = new Range()
          range.setStart(node, left)
          range.setEnd(node, left + 1)
          return range.getBoundingClientRect().left
        }
      }
      return -1
    }
    const lefts = Array.from({ length: 60 }, (_, word) => leftOf(list, 2 + word * 5))
    const broken = lefts.find((left, word) => word > 0 && left < (lefts[word - 1] ?? 0))
    return { mark: leftOf(list, 0), first: lefts[0] ?? 0, second: broken ?? 0, plain: leftOf(end, 0) }
  })
  expect(Math.abs(mark - plain)).toBeLessThan(0.5)
  expect(Math.abs(second - first)).toBeLessThan(1.5)
})
