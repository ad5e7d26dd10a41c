import { readFile } from "node:fs/promises"
import { expect, test } from "vitest"
import { sampleArchive } from "../workspace/sample-archive.ts"
import { reportTime, say } from "../workspace/report.ts"
import { testWorkspace } from "../workspace/test-workspace.ts"
import { type Person, timeUntil } from "../workspace/workspace-page.ts"

const workspace = testWorkspace()
const { person } = workspace
let ada: Person

async function importZip(buffer: Buffer): Promise<void> {
  await ada.goto("/settings")
  await ada.page
    .getByLabel("Files to import")
    .setInputFiles({ name: "workspace.zip", mimeType: "application/zip", buffer })
  await ada.page.getByText(/^Imported \d+ documents/).waitFor({ timeout: 120_000 })
}

async function titles(): Promise<readonly string[]> {
  await ada.goto("/documents")
  await ada.page.locator(".row").first().waitFor()
  const found = await ada.page.locator(".row-title > span:first-child").allInnerTexts()
  return found.toSorted()
}

test("search finds bodies and task titles among a thousand documents", async () => {
  ada = await person()
  const started = performance.now()
  await importZip(sampleArchive({ documents: 1_000, tasks: 500 }))
  say(`import of 1,000 documents and 500 tasks: ${Math.round(performance.now() - started)} ms`)
  await ada.goto("/documents")
  for (const [query, hint, expected] of [
    ["phalarope", "Document", "Dunlin survey 777"],
    ["tide count 241", "Task", ""],
  ] as const) {
    await ada.page.keyboard.press("Control+k")
    const field = ada.page.getByRole("combobox")
    await field.fill("")
    // Time from the last key to the frame that shows the hit, measured in the page.
    const ms = await field.evaluate(
      async (input, wanted) => {
        const before = performance.now()
        const setValue = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set
        setValue?.call(input, wanted.query)
        input.dispatchEvent(new Event("input", { bubbles: true }))
        while (document.querySelector("[role=option] .result-hint")?.textContent !== wanted.hint) {
          if (performance.now() - before > 10_000) throw new Error("no hit")
          await new Promise((resolve) => requestAnimationFrame(resolve))
        }
        return Math.round(performance.now() - before)
      },
      { query, hint },
    )
    reportTime(`"${query}" shown`, ms, 200)
    if (expected !== "") expect(await ada.page.getByRole("option").first().innerText()).toContain(expected)
    await ada.page.keyboard.press("Escape")
  }
})

test("the palette has what one searches for before its commands, and Enter does one thing", async () => {
  ada = await person()
  await ada.page.getByRole("button", { name: /Start from a sample/ }).click()
  await ada.openDocument("Tide table")
  const options = ada.page.getByRole("listbox", { name: "Results" }).getByRole("option")
  const openPalette = async (query: string): Promise<void> => {
    await ada.page.keyboard.press("Control+k")
    await ada.page.getByRole("combobox").fill(query)
  }
  await openPalette("")
  const recent = ada.page.getByRole("group", { name: "Recent documents" })
  await recent.getByRole("option").first().waitFor()
  expect(await options.first().innerText()).toBe(await recent.getByRole("option").first().innerText())
  // The open document is not offered as a place to go to.
  expect(await recent.getByRole("option", { name: /Tide table/ }).count()).toBe(0)
  await ada.page.keyboard.press("ArrowUp")
  expect(await options.last().getAttribute("aria-selected")).toBe("true")
  await ada.page.keyboard.press("ArrowDown")
  expect(await options.first().getAttribute("aria-selected")).toBe("true")
  await ada.page.keyboard.press("Escape")
  await ada.goto("/board")
  await ada.addTask("Paint the board")
  await openPalette("board")
  await ada.page.getByRole("option", { name: "Paint the board" }).waitFor()
  expect((await options.allInnerTexts())[0]).toContain("Paint the board")
  await ada.page.getByRole("option", { name: "Go to the board" }).waitFor()
  await ada.page.keyboard.press("Enter")
  await ada.page.getByRole("dialog", { name: "Task" }).waitFor()
  await ada.page.keyboard.press("Escape")
  // The second time nothing has to be fetched: the dialog opens while the key is still down.
  for (let time = 0; time < 2; time++) {
    await openPalette("keyboard")
    await ada.page.keyboard.press("Enter")
    await ada.page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor()
    await ada.page.waitForTimeout(100)
    expect(await ada.page.getByRole("dialog", { name: "Keyboard shortcuts" }).count()).toBe(1)
    await ada.page.keyboard.press("Escape")
  }
})

test("the first screens work before Loro has arrived", async () => {
  let release = (): void => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  let isAsked = false
  ada = await person(workspace.server.url, (context) =>
    context.route("**/*.wasm", async (route) => {
      isAsked = true
      await held
      await route.continue()
    }),
  )
  await ada.page.getByRole("button", { name: "New", exact: true }).click()
  await ada.page.getByRole("textbox", { name: "Title" }).fill("Before Loro")
  await ada.page.locator(".row", { hasText: "Before Loro" }).waitFor()
  await ada.goto("/board")
  await ada.addTask("Before Loro, too")
  await ada.goto("/documents")
  await ada.page.locator(".row", { hasText: "Before Loro" }).click()
  expect(isAsked).toBe(true)
  expect(await ada.editor().count()).toBe(0)
  release()
  await ada.editor().click()
  await ada.page.keyboard.type("and now it is here")
  expect(await ada.text()).toBe("and now it is here")
})

test("what is exported comes back, also into an empty workspace", async () => {
  ada = await person()
  await ada.page.getByRole("button", { name: /Start from a sample/ }).click()
  await ada.page.locator(".row").first().waitFor()
  await ada.newDocument("Names & <b>marks</b> 🐦")
  await ada.editor().click()
  await ada.page.keyboard.type("A body with **marks**.")
  const before = await titles()
  await ada.goto("/note")
  await ada.page.getByRole("textbox", { name: "Quick note" }).fill("Keys are at the harbour office.")
  await ada.goto("/settings")
  const [download] = await Promise.all([
    ada.page.waitForEvent("download"),
    ada.page.getByRole("button", { name: "Export everything" }).click(),
  ])
  expect(download.suggestedFilename()).toMatch(/^dunlin-.*\.zip$/)
  const zip = await readFile(await download.path())
  await ada.page.getByRole("button", { name: "Remove from this device…" }).click()
  await ada.page.getByRole("dialog").getByRole("button", { name: "Remove from this device" }).click()
  await ada.page.getByText("There are no documents.").waitFor({ state: "attached" })
  await importZip(zip)
  expect(await titles()).toEqual(before)
  await ada.openDocument("Names & <b>marks</b> 🐦")
  await timeUntil("the body", async () => (await ada.text()).includes("A body with **marks**."))
  await ada.goto("/documents")
  await ada.openDocument("Winter count")
  expect(await ada.text()).toContain("Two people a sector")
  await ada.goto("/board")
  await ada.card("Borrow the second scope").waitFor()
  // A second import adds nothing twice.
  await importZip(zip)
  await ada.page.getByText(/^Imported 0 documents and 0 tasks/).waitFor()
  await ada.goto("/note")
  const note = ada.page.getByRole("textbox", { name: "Quick note" })
  await timeUntil("the note", async () => (await note.inputValue()) === "Keys are at the harbour office.")
})

test("a text that other devices would refuse is not taken in, and said to be too long", async () => {
  ada = await person()
  await ada.newDocument("Short")
  await ada.editor().click()
  await ada.page.evaluate(() => {
    const clipboardData = new DataTransfer()
    clipboardData.setData("text/plain", `${"line\n".repeat(800_000)}and more`)
    const paste = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true })
    document.querySelector(".cm-content")?.dispatchEvent(paste)
  })
  await ada.page.getByText("That is too long").waitFor()
  await ada.page.keyboard.type("still here")
  expect(await ada.text()).toBe("still here")
  await ada.goto("/settings")
  const file = { name: "long.txt", mimeType: "text/plain", buffer: Buffer.alloc(4_000_001, "a") }
  await ada.page.getByLabel("Files to import").setInputFiles(file)
  await ada.page.getByText("Could not import: “long” has more than 4,000,000 characters").waitFor()
  expect(await titles()).toEqual(["Short"])
})

test("the board by keyboard alone", async () => {
  ada = await person()
  await ada.goto("/board")
  for (const title of ["One", "Two", "Three"]) await ada.addTask(title)
  const order = (column: string): Promise<readonly string[]> =>
    ada.page
      .locator(`[data-column="${column}"] li`)
      .evaluateAll((rows) =>
        rows
          .toSorted((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)
          .map((row) => row.querySelector(".card-title")?.textContent ?? ""),
      )
  const focused = (title: string): Promise<number> =>
    timeUntil(`the focus on ${title}`, () =>
      ada.page.evaluate(
        (text) =>
          document.activeElement?.matches(".card-face") === true &&
          document.activeElement.textContent.startsWith(text),
        title,
      ),
    )
  await ada.card("One").locator(".card-face").focus()
  await ada.page.keyboard.press("Space")
  await ada.page.keyboard.press("ArrowDown")
  await timeUntil("one down", async () => (await order("todo")).join() === "Two,One,Three")
  await ada.page.keyboard.press("ArrowRight")
  await timeUntil("to the right", async () => (await order("doing")).join() === "One")
  await focused("One")
  await ada.page.keyboard.press("Space")
  await ada.page.locator("[data-lifted]").waitFor({ state: "detached" })
  await ada.page.keyboard.press("m")
  await ada.page.getByRole("menuitem", { name: "Move to Done" }).press("Enter")
  await timeUntil("by the menu", async () => (await order("done")).join() === "One")
  // Moving within a column works too, for those who cannot drag.
  await ada.page.getByRole("button", { name: "Actions for “Three”" }).click()
  await ada.page.getByRole("menuitem", { name: "Move up" }).click()
  await timeUntil("up by the menu", async () => (await order("todo")).join() === "Three,Two")
  await ada.page.getByRole("button", { name: "Actions for “Three”" }).click()
  expect(await ada.page.getByRole("menuitem", { name: "Move up" }).isDisabled()).toBe(true)
  await ada.page.getByRole("menuitem", { name: "Move down" }).click()
  await timeUntil("down by the menu", async () => (await order("todo")).join() === "Two,Three")
  await ada.card("Two").locator(".card-face").focus()
  await ada.page.keyboard.press("Space")
  await ada.page.keyboard.press("ArrowRight")
  await timeUntil("right", async () => (await order("doing")).join() === "Two")
  await focused("Two")
  await ada.page.keyboard.press("Escape")
  await timeUntil("put back", async () => (await order("todo")).join() === "Two,Three")
  await focused("Two")
  // Keys that outrun the screen still count one by one.
  await ada.page.evaluate(async () => {
    for (const key of [" ", "ArrowDown", "ArrowRight", "ArrowRight", " "]) {
      document.activeElement?.dispatchEvent(
        new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }),
      )
      await new Promise((resolve) => setTimeout(resolve))
    }
  })
  await timeUntil("two to the right", async () => (await order("done")).join() === "Two,One")
  await focused("Two")
  expect(await order("doing")).toEqual([])
})

test("a pasted list becomes a task for each line, and can be taken back", async () => {
  ada = await person()
  await ada.goto("/board")
  await ada.addTask("First")
  await ada.page.getByRole("textbox", { name: "New task in To do" }).evaluate(
    (field, lines) => {
      const clipboardData = new DataTransfer()
      clipboardData.setData("text/plain", lines)
      field.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }))
    },
    Array.from({ length: 1_000 }, (_, index) => `- Task ${index}`).join("\n"),
  )
  await ada.page.getByText("Added 1000 tasks.").waitFor()
  const count = ada.page.locator('[data-column="todo"] header .numbers')
  await expect.poll(() => count.innerText()).toBe("1001")
  await ada.card("Task 999").waitFor()
  await ada.page.getByRole("button", { name: "Undo" }).click()
  await expect.poll(() => count.innerText()).toBe("1")
  await ada.card("First").waitFor()
})

test("the board by mouse", async () => {
  ada = await person()
  await ada.goto("/board")
  for (const title of ["One", "Two", "Three"]) await ada.addTask(title)
  const card = await ada.card("One").boundingBox()
  const column = await ada.page.locator('[data-column="doing"]').boundingBox()
  if (card === null || column === null) throw new Error("not on the screen")
  await ada.page.mouse.move(card.x + 40, card.y + 30)
  await ada.page.mouse.down()
  await ada.page.mouse.move(card.x + 80, card.y + 30, { steps: 4 })
  await ada.page.mouse.move(column.x + 60, column.y + 80, { steps: 8 })
  await ada.page.mouse.up()
  await ada.card("One", "doing").waitFor()
  expect(await ada.page.getByRole("dialog").count()).toBe(0)
})

test("the board by touch: a held finger drags, a quick one scrolls, a tap opens", async () => {
  ada = await person()
  await ada.page.setViewportSize({ width: 760, height: 800 })
  const session = await ada.context.newCDPSession(ada.page)
  await session.send("Emulation.setTouchEmulationEnabled", { enabled: true, maxTouchPoints: 1 })
  await ada.goto("/board")
  for (const title of ["One", "Two", "Three"]) await ada.addTask(title)
  const touch = (type: "touchStart" | "touchMove" | "touchEnd", x = 0, y = 0): Promise<unknown> =>
    session.send("Input.dispatchTouchEvent", { type, touchPoints: type === "touchEnd" ? [] : [{ x, y }] })
  const titles = (column: string): Promise<readonly string[]> =>
    ada.page
      .locator(`[data-column="${column}"] li`)
      .evaluateAll((rows) =>
        rows
          .toSorted((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)
          .map((row) => row.querySelector(".card-title")?.textContent ?? ""),
      )
  const middle = async (what: "card" | "column"): Promise<readonly [x: number, y: number]> => {
    const one = what === "card" ? ada.card("One") : ada.page.locator('[data-column="doing"]')
    const box = await one.boundingBox()
    if (box === null) throw new Error("not on the screen")
    return [box.x + 60, box.y + (what === "card" ? 30 : 80)]
  }
  const [x, y] = await middle("card")

  // A finger that moves at once scrolls, and lifts nothing.
  await touch("touchStart", x, y)
  for (let step = 1; step <= 6; step++) await touch("touchMove", x, y - step * 8)
  await ada.page.waitForTimeout(400)
  expect(await ada.page.locator(".ghost").count()).toBe(0)
  await touch("touchEnd")
  expect(await titles("todo")).toEqual(["One", "Two", "Three"])

  // A finger that is held lifts the card and carries it.
  await touch("touchStart", x, y)
  await ada.page.locator(".ghost").waitFor()
  const [toX, toY] = await middle("column")
  for (let step = 1; step <= 8; step++)
    await touch("touchMove", x + ((toX - x) * step) / 8, y + ((toY - y) * step) / 8)
  await ada.page.locator('[data-column="doing"][data-target]').waitFor()
  await touch("touchEnd")
  await ada.card("One", "doing").waitFor()
  expect(await titles("todo")).toEqual(["Two", "Three"])
  expect(await ada.page.locator(".ghost").count()).toBe(0)
  expect(await ada.page.getByRole("dialog").count()).toBe(0)

  // A card held and released in place stays there, and does not open.
  const [restX, restY] = await middle("card")
  await touch("touchStart", restX, restY)
  await ada.page.locator(".ghost").waitFor()
  await touch("touchEnd")
  await ada.page.waitForTimeout(200)
  expect(await titles("doing")).toEqual(["One"])
  expect(await ada.page.getByRole("dialog").count()).toBe(0)

  await touch("touchStart", restX, restY)
  await touch("touchEnd")
  await ada.page.getByRole("dialog").waitFor()
})

test("the split-screen demo: cut the cable, write on both sides, mend it", async () => {
  ada = await person()
  await ada.page.goto(`${workspace.server.url}?demo=split`)
  const [one, two] = [ada.page.frameLocator("iframe").nth(0), ada.page.frameLocator("iframe").nth(1)]
  const line = (device: typeof one, text: string): Promise<void> =>
    device.locator(".cm-line", { hasText: text }).first().waitFor({ timeout: 60_000 })
  for (const device of [one, two]) await line(device, "Two people")
  await ada.page.getByRole("button", { name: "Cut the cable" }).click()
  await one.getByText("Sync is paused").first().waitFor({ state: "attached" })
  await two.getByText("Sync is paused").first().waitFor({ state: "attached" })
  for (const [device, text] of [
    [one, "from the left. "],
    [two, "from the right. "],
  ] as const) {
    await device.locator(".cm-line", { hasText: "Two people" }).click()
    await ada.page.keyboard.press("Alt+ArrowLeft")
    await ada.page.keyboard.type(text)
  }
  expect(await two.locator(".cm-line", { hasText: "from the left." }).count()).toBe(0)
  await ada.page.getByRole("button", { name: "Mend the cable" }).click()
  for (const device of [one, two]) {
    await line(device, "from the left.")
    await line(device, "from the right.")
  }
})
