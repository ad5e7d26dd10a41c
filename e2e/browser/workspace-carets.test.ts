import { expect, test } from "vitest"
import { testWorkspace } from "../workspace/test-workspace.ts"
import { type Person, timeUntil } from "../workspace/workspace-page.ts"

const { person } = testWorkspace({ browsers: 2 })

const WORD = "incomprehensibilities"

/** Where each character of the text is drawn: left, top and right, in document order. */
const layout = ({ editor }: Person): Promise<readonly string[]> =>
  editor().evaluate((content) => {
    const places: string[] = []
    const texts = document.createTreeWalker(content, NodeFilter.SHOW_TEXT)
    for (let node = texts.nextNode(); node !== null; node = texts.nextNode()) {
      // A caret's own label is not part of the document.
      if (node.parentElement?.closest(".dunlin-caret")) continue
      for (let at = 0; at < (node.textContent ?? "").length; at++) {
        const range = new Range()
        range.setStart(node, at)
        range.setEnd(node, at + 1)
        const { left, top, right } = range.getBoundingClientRect()
        places.push(
          `${node.textContent?.[at]} ${[left, top, right].map((place) => place.toFixed(1)).join(" ")}`,
        )
      }
    }
    return places
  })

const caretAt = ({ page }: Person): Promise<string | null> =>
  page.evaluate(() => {
    const caret = document.querySelector(".dunlin-caret")
    if (!caret?.checkVisibility()) return null
    const { left, top } = caret.getBoundingClientRect()
    return `${left.toFixed(1)} ${top.toFixed(1)}`
  })

test("a caret of somebody else never moves the text, wherever in a word it stands", async () => {
  const ada = await person()
  const invite = await ada.invite()
  await ada.newDocument("Long words")
  await ada.editor().click()
  await ada.page.keyboard.insertText(`${WORD} `.repeat(10).trim())
  await ada.page.setViewportSize({ width: 420, height: 740 })
  const ben = await person(invite)
  await ben.openDocument("Long words")
  await timeUntil("Ben has the text", async () => (await ben.text()).length > 100)
  await ada.page.evaluate(() => document.fonts.ready)
  const before = await layout(ada)
  const lines = new Set(before.map((place) => place.split(" ").at(-2)))
  expect(lines.size).toBeGreaterThan(3)
  await ben.editor().click()
  await ben.page.keyboard.press("Control+Home")
  let stood: string | null = null
  for (let step = 0; step < 16; step++) {
    await timeUntil("Ben's caret has moved at Ada's", async () => {
      const now = await caretAt(ada)
      return now !== null && now !== stood
    })
    stood = await caretAt(ada)
    expect(await layout(ada), `with the caret at ${step * 5}`).toEqual(before)
    for (let press = 0; press < 5; press++) await ben.page.keyboard.press("ArrowRight")
  }
})

test("the name at a caret stays within the page, and comes back under the pointer", async () => {
  const ada = await person()
  const invite = await ada.invite()
  const { page } = ada
  await ada.newDocument("Names")
  await ada.editor().click()
  await page.keyboard.insertText(`${"a ".repeat(15)}\n`.repeat(3).trim())
  await page.setViewportSize({ width: 360, height: 740 })
  const ben = await person(invite)
  await ben.goto("/settings")
  await ben.page
    .getByRole("textbox", { name: "Name, as others see it" })
    .fill("Bartholomew Featherstonehaugh")
  await ben.goto("/documents")
  await ben.openDocument("Names")
  await ben.editor().click()
  await ben.page.keyboard.press("Control+Home")
  await ben.page.keyboard.press("End")
  const name = page.locator(".dunlin-caret-name")
  await name.getByText("Bartholomew").waitFor()
  await timeUntil(
    "it stands at the end of the first line",
    async () => ((await name.boundingBox())?.x ?? 0) > 16,
  )
  const sideways = await page
    .locator(".cm-scroller")
    .evaluate((element) => element.scrollWidth - element.clientWidth)
  expect(sideways).toBeLessThanOrEqual(0)
  // On the first line there is no room above the text.
  const [box, scroller] = [await name.boundingBox(), await page.locator(".cm-scroller").boundingBox()]
  if (box === null || scroller === null) throw new Error("not on the screen")
  expect(box.y).toBeGreaterThanOrEqual(scroller.y)
  expect(box.x + box.width).toBeLessThanOrEqual(360)
  const opacity = (): Promise<number> => name.evaluate((element) => Number(getComputedStyle(element).opacity))
  await expect.poll(opacity, { timeout: 30_000 }).toBe(0)
  const caret = await page.locator(".dunlin-caret").boundingBox()
  if (caret === null) throw new Error("not on the screen")
  await page.mouse.move(caret.x - 40, caret.y + caret.height / 2)
  await expect.poll(opacity).toBe(1)
  await ben.goto("/settings")
  await ben.page.getByRole("textbox", { name: "Name, as others see it" }).fill("W".repeat(40))
  await ben.goto("/documents")
  await ben.openDocument("Names")
  await ben.editor().click()
  await ben.page.keyboard.press("Control+Home")
  await name.getByText("W".repeat(40)).waitFor()
  for (let at = 0; at < 20; at++) {
    const before = await caretAt(ada)
    await ben.page.keyboard.press("ArrowRight")
    await timeUntil("Ben's caret has moved", async () => {
      const now = await caretAt(ada)
      return now !== null && now !== before
    })
    const shown = await name.boundingBox()
    if (shown === null) throw new Error("not on the screen")
    expect(shown.x).toBeGreaterThanOrEqual(0)
    expect(shown.x + shown.width).toBeLessThanOrEqual(360)
  }
})

test("the names of people at one place can all be read", async () => {
  const ada = await person()
  const invite = await ada.invite()
  await ada.newDocument("Names")
  await ada.editor().click()
  await ada.page.keyboard.insertText("first\nsecond\nthird\nfourth")
  const others = [await person(invite), await person(invite), await person(invite)]
  for (const other of others) {
    await other.openDocument("Names")
    await timeUntil("the text is there", async () => (await other.text()).endsWith("fourth"))
    await other.editor().click()
    await other.page.keyboard.press("Control+Home")
    await other.page.keyboard.press("ArrowDown")
  }
  const boxes = (): Promise<readonly DOMRect[]> =>
    ada.page
      .locator(".dunlin-caret-name")
      .evaluateAll((names) => names.map((name) => name.getBoundingClientRect().toJSON() as DOMRect))
  const atOnePlace = (): Promise<boolean> =>
    ada.page
      .locator(".dunlin-caret")
      .evaluateAll(
        (carets) =>
          carets.length === 3 &&
          new Set(carets.map((caret) => JSON.stringify(caret.getBoundingClientRect()))).size === 1,
      )
  const expectApart = (drawn: readonly DOMRect[]): void => {
    for (const [at, a] of drawn.entries())
      for (const b of drawn.slice(at + 1)) {
        const isApart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top
        expect(isApart, `${JSON.stringify(a)} and ${JSON.stringify(b)}`).toBe(true)
      }
  }
  await timeUntil("all carets are there", atOnePlace)
  const usual = await boxes()
  expectApart(usual)
  // Names follow the size of letters, and larger names stand further apart.
  await ada.page.addStyleTag({ content: ":root { font-size: 200% }" })
  for (const other of others) await other.page.keyboard.press("ArrowDown")
  await timeUntil("all carets have moved", async () => {
    const top = (await boxes())[0]?.top
    return top !== usual[0]?.top && (await atOnePlace())
  })
  const large = await boxes()
  expect(large[0]?.height).toBeGreaterThan(1.7 * (usual[0]?.height ?? 0))
  expectApart(large)
})
