import { AxeBuilder } from "@axe-core/playwright"
import { expect, test } from "vitest"
import { testWorkspace } from "../workspace/test-workspace.ts"
import type { Person } from "../workspace/workspace-page.ts"

const { person } = testWorkspace()
let ada: Person

const SCREENS = ["/documents", "/board", "/note", "/people", "/settings"] as const
const WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

/** Waits until everything that moves has come to rest. */
async function rest(): Promise<void> {
  await ada.page.evaluate(async () => {
    await document.fonts.ready
    await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
    await Promise.allSettled(document.getAnimations().map((animation) => animation.finished))
  })
}

async function startFromSample(): Promise<void> {
  await ada.page.getByRole("button", { name: /Start from a sample/ }).click()
  await ada.page.locator(".row").first().waitFor()
}

test("no barrier on any screen, light or dark", async () => {
  ada = await person()
  let scheme: "light" | "dark" = "light"
  const check = async (what: string): Promise<void> => {
    await rest()
    // A theme changes only colours, so only the rules about colour are asked again.
    const asked = new AxeBuilder({ page: ada.page })
    const rules =
      scheme === "light" ? asked.withTags(WCAG) : asked.withRules(["color-contrast", "link-in-text-block"])
    const { violations } = await rules.analyze()
    const told = violations.map(
      ({ id, nodes }) =>
        `${what}, ${scheme}: ${id}: ${nodes.map(({ target, failureSummary }) => `${target.join(" ")} ${failureSummary}`).join("; ")}`,
    )
    expect(told).toEqual([])
  }
  const invite = await ada.invite()
  await check("first run")
  await startFromSample()
  for (scheme of ["light", "dark"] as const) {
    await ada.page.emulateMedia({ colorScheme: scheme })
    for (const screen of SCREENS) {
      await ada.goto(screen)
      await ada.page.locator("h1").first().waitFor()
      await check(screen)
    }
    await ada.goto("/documents")
    await ada.openDocument("Winter count")
    await check("document")
    await ada.editor().click()
    await ada.page.keyboard.press("Control+f")
    await ada.page.getByRole("textbox", { name: "Find" }).waitFor()
    await check("search in the document")
    await ada.page.keyboard.press("Escape")
    await ada.page.getByRole("button", { name: "History" }).click()
    await ada.page.locator(".history-step").first().waitFor()
    await check("history")
    await ada.page.getByRole("button", { name: "Close", exact: true }).click()
    await ada.page.getByRole("button", { name: "Share" }).first().click()
    await ada.page.getByRole("textbox", { name: "Invite link" }).waitFor()
    await check("share")
    await ada.page.keyboard.press("Escape")
    await ada.page.keyboard.press("Control+k")
    await ada.page.getByRole("combobox").fill("tide")
    await ada.page.locator("[role=option]").first().waitFor()
    await check("palette")
    await ada.page.keyboard.press("Escape")
    await ada.goto("/board")
    await ada.page.locator(".card-face").first().click()
    await ada.page.getByRole("dialog").waitFor()
    await check("task")
    await ada.page.keyboard.press("Escape")
    await ada.page.keyboard.press("?")
    await ada.page.getByRole("dialog").waitFor()
    await check("shortcuts")
    await ada.page.keyboard.press("Escape")
    await ada.page
      .getByRole("button", { name: /^Workspace: / })
      .first()
      .click()
    await ada.page.getByRole("menuitem", { name: "Join with a link…" }).first().click()
    await ada.page.getByRole("textbox", { name: /Invite link/ }).fill("half a link")
    await ada.page.getByRole("button", { name: "Join", exact: true }).click()
    await ada.page.getByText("That invite link is not complete.").waitFor()
    await check("join")
    await ada.page.keyboard.press("Escape")
    await ada.page.setViewportSize({ width: 360, height: 740 })
    await ada.goto("/documents")
    await check("documents on a phone")
    await ada.page.setViewportSize({ width: 1280, height: 720 })
  }
  await ada.page.goto(invite.slice(0, -20))
  await ada.page.getByText("That invite link is not complete.").waitFor()
  await check("a refused invite, dark")
})

test("nothing is wider than a small phone, and targets can be hit", async () => {
  ada = await person()
  await startFromSample()
  await ada.page.setViewportSize({ width: 360, height: 740 })
  const check = async (what: string): Promise<void> => {
    await rest()
    const wide = await ada.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    expect(wide, `${what} scrolls sideways`).toBeLessThanOrEqual(0)
    const small = await ada.page.evaluate(() =>
      [...document.querySelectorAll<HTMLElement>("button, a, input, select, summary, textarea")]
        .filter(
          (element) =>
            element.checkVisibility() && !element.closest("p") && element.getClientRects().length > 0,
        )
        .map((element) => ({ element, box: element.getBoundingClientRect() }))
        .filter(({ box }) => box.width > 1 && (box.width < 24 || box.height < 24))
        .map(
          ({ element, box }) =>
            `${element.outerHTML.slice(0, 90)} ${Math.round(box.width)}×${Math.round(box.height)}`,
        ),
    )
    expect(small, `${what} has small targets`).toEqual([])
  }
  for (const screen of SCREENS) {
    await ada.goto(screen)
    await check(screen)
  }
  await ada.goto("/documents")
  await ada.openDocument("Winter count")
  await check("document")
  await ada.page.getByRole("button", { name: "More" }).click()
  await check("menu")
  await ada.page.keyboard.press("Escape")
  await ada.goto("/board")
  await ada.page.getByRole("button", { name: "Workspace: My workspace. Switch or add" }).click()
  await ada.page.getByRole("menuitem", { name: "New workspace" }).waitFor()
  await check("workspaces")
})

test("what comes and goes covers neither the sections nor the field for a new task, and the board fits a small computer", async () => {
  ada = await person()
  await startFromSample()
  await ada.page.setViewportSize({ width: 360, height: 740 })
  await ada.openDocument("Winter count")
  await ada.page.getByRole("button", { name: "More" }).click()
  await ada.page.getByRole("menuitem", { name: "Archive" }).click()
  await ada.page.locator(".toast").waitFor()
  await rest()
  const toast = await ada.page.locator(".toast").boundingBox()
  const tabs = await ada.page.getByRole("navigation", { name: "Sections" }).boundingBox()
  if (toast === null || tabs === null) throw new Error("not on the screen")
  expect(toast.y + toast.height).toBeLessThanOrEqual(tabs.y)
  await ada.goto("/board")
  for (let number = 0; number < 8; number++) await ada.addTask(`Sheet ${number}`)
  const field = await ada.page.locator(".new-task").first().boundingBox()
  expect((field?.y ?? 0) + (field?.height ?? 740)).toBeLessThanOrEqual(toast.y)
  for (const width of [1024, 768]) {
    await ada.page.setViewportSize({ width, height: 740 })
    await ada.page.locator(".column").last().waitFor()
    const last = await ada.page.locator(".column").last().boundingBox()
    expect((last?.x ?? 0) + (last?.width ?? width), `at ${width} pixels`).toBeLessThanOrEqual(width)
  }
})

test("a long title or tag gives way to what is beside it", async () => {
  ada = await person()
  await ada.goto("/documents")
  await ada.newDocument("Donaudampfschifffahrtsgesellschaft".repeat(5))
  await ada.page.setViewportSize({ width: 360, height: 740 })
  for (const tag of ["Oberammergauer-Alpenkräuter-Delikatesse", "second", "third"]) {
    await ada.page.getByRole("textbox", { name: "Add a tag" }).fill(tag)
    await ada.page.keyboard.press("Enter")
    await ada.page.getByRole("button", { name: `Remove tag ${tag}` }).waitFor()
  }
  // The click succeeds only if nothing covers the button and it is not cut off.
  await ada.page.getByRole("button", { name: /Remove tag Ober/ }).click({ timeout: 5000 })
  await ada.goto("/documents")
  const row = ada.page.locator(".row").first()
  await row.waitFor()
  const { inside, cut } = await row.evaluate((element) => {
    const right = element.getBoundingClientRect().right
    const title = element.querySelector(".row-title > span") as HTMLElement
    return {
      inside: [...element.querySelectorAll("span")].every(
        (one) => one.getBoundingClientRect().right <= right + 1,
      ),
      cut: title.scrollWidth > title.clientWidth,
    }
  })
  expect({ inside, cut }).toEqual({ inside: true, cut: true })
})

test("the focus can be seen wherever Tab goes, and always comes on", async () => {
  ada = await person()
  await startFromSample()
  for (const screen of SCREENS) {
    await ada.goto(screen)
    await ada.page.locator("h1").first().waitFor()
    await rest()
    await ada.page.evaluate(() => document.querySelector<HTMLElement>(".skip")?.focus())
    const seen = new Set<string>()
    for (let presses = 0; presses < 14; presses++) {
      await ada.page.keyboard.press("Tab")
      const { name, isVisible } = await ada.page.evaluate(() => {
        const element = document.activeElement ?? document.body
        const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element)
        // Text fields without a frame show their focus by the caret, others by their surroundings.
        const writes = element.matches("input:not([type=radio]), textarea, [contenteditable]")
        const around = element.parentElement === null ? null : getComputedStyle(element.parentElement)
        const hasRing = outlineStyle !== "none" && parseFloat(outlineWidth) >= 1
        return {
          name: `${element.tagName} ${element.getAttribute("aria-label") ?? element.textContent.slice(0, 40)}`,
          isVisible:
            hasRing || boxShadow !== "none" || writes || (around !== null && around.outlineStyle !== "none"),
        }
      })
      if (name.startsWith("BODY")) break
      expect(isVisible, `${screen}: the focus on ${name} cannot be seen`).toBe(true)
      seen.add(name)
    }
    expect(seen.size, `${screen}: Tab goes through the screen`).toBeGreaterThan(5)
  }
})

test("a screen reader hears how sync is once that has settled, and nothing while somebody types", async () => {
  ada = await person()
  await ada.newDocument("Tides")
  const ben = await person(await ada.invite())
  await ben.openDocument("Tides")
  const announced = ada.page.getByTestId("announced")
  await announced.getByText("Synced with 1 device").waitFor({ state: "attached" })
  await ada.page.evaluate(() => {
    const heard: string[] = []
    Object.assign(window, { heard })
    const watch = new MutationObserver((changes) =>
      heard.push(...changes.map(({ target }) => target.textContent ?? "")),
    )
    for (const region of document.querySelectorAll("[role=status], [role=alert], [aria-live]"))
      watch.observe(region, { childList: true, characterData: true, subtree: true })
  })
  await ada.editor().click()
  for (const letter of "the tide comes in and the flock comes close") {
    await ada.page.keyboard.type(letter)
    await ada.page.waitForTimeout(80)
  }
  const text = await ada.text()
  await expect.poll(() => ben.text()).toBe(text)
  expect(await ada.page.evaluate(() => (window as unknown as { heard: string[] }).heard)).toEqual([])
  await ada.pause()
  await announced.getByText("Sync is paused").waitFor({ state: "attached" })
})

test("a menu opened by keyboard has the focus, and stays on the screen", async () => {
  ada = await person()
  await ada.goto("/board")
  for (const title of ["One", "Two", "Three", "Four"]) await ada.addTask(title)
  await ada.page.setViewportSize({ width: 1000, height: 560 })
  const focused = (): Promise<string | null> =>
    ada.page.evaluate(
      () => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? null,
    )
  await ada.page.getByRole("button", { name: "Actions for “Four”" }).focus()
  await ada.page.keyboard.press("Enter")
  await expect.poll(focused).toBe("Move to Doing")
  await ada.page.keyboard.press("ArrowDown")
  expect(await focused()).toBe("Move to Done")
  const box = await ada.page.locator(".menu:popover-open").boundingBox()
  expect((box?.y ?? 0) + (box?.height ?? 560)).toBeLessThanOrEqual(560)
  await ada.page.keyboard.press("Tab")
  await ada.page.locator(".menu:popover-open").waitFor({ state: "detached" })
  expect(await focused()).toBe("New task in To do")
  // Tab stops at one card of a column, and arrows go to the others.
  for (const key of ["Shift+Tab", "Shift+Tab", "ArrowUp", "Tab"]) await ada.page.keyboard.press(key)
  expect(await focused()).toBe("Actions for “Three”")
  await ada.page.keyboard.press("Tab")
  expect(await focused()).toBe("New task in To do")
})

test("the focus stays on the page when what had it disappears", async () => {
  ada = await person()
  const focused = (): Promise<string | undefined> => ada.page.evaluate(() => document.activeElement?.id)
  await ada.page.getByRole("button", { name: /Start from a sample/ }).press("Enter")
  await ada.page.locator(".row").first().waitFor()
  await expect.poll(focused).toBe("main")
  await ada.page.keyboard.press("Tab")
  expect(await ada.page.evaluate(() => document.activeElement?.textContent)).toBe("New")
  await ada.page.setViewportSize({ width: 360, height: 740 })
  await ada.page.locator(".row", { hasText: "Winter count" }).press("Enter")
  await ada.editor().waitFor()
  await expect.poll(focused).toBe("main")
  await ada.goto("/board")
  await ada.page.locator(".card-face").first().press("Enter")
  await ada.page.getByRole("dialog").getByRole("button", { name: "Delete" }).press("Enter")
  await ada.page.getByRole("dialog").waitFor({ state: "detached" })
  await expect.poll(focused).toBe("main")
  await ada.page.getByRole("button", { name: "Undo" }).press("Enter")
  await expect.poll(focused).toBe("main")
})

test("arrows go through the list of documents, Tab leaves it, and the open one is in view", async () => {
  ada = await person()
  const { page } = ada
  await startFromSample()
  const focused = (): Promise<string> => page.evaluate(() => document.activeElement?.textContent ?? "")
  const titles = await page.locator(".row-title").allInnerTexts()
  await page.locator(".row").first().focus()
  await page.keyboard.press("ArrowDown")
  expect(await focused()).toContain(titles[1])
  await page.keyboard.press("End")
  expect(await focused()).toContain(titles.at(-1))
  await page.keyboard.press("ArrowDown")
  await page.keyboard.press("ArrowUp")
  expect(await focused()).toContain(titles.at(-2))
  await page.keyboard.press("Tab")
  expect(await page.evaluate(() => document.activeElement?.closest(".list"))).toBeNull()
  await page.keyboard.press("Shift+Tab")
  expect(await focused()).toContain(titles.at(-2))

  // The last one is below the edge of a low window.
  await page.setViewportSize({ width: 1000, height: 300 })
  await page.locator(".rows").evaluate((rows) => rows.scrollTo(0, 0))
  const last = page.locator(".row").last()
  await ada.goto((await last.getAttribute("href"))?.replace("#", "") ?? "")
  await expect
    .poll(() => last.evaluate((row) => innerHeight - row.getBoundingClientRect().bottom))
    .toBeGreaterThan(-2)
})

test("whoever opens a document from the palette is in its text, also where it is open already", async () => {
  ada = await person()
  const { page } = ada
  await startFromSample()
  for (const before of [".row", ".title-input"]) {
    await page.locator(before).last().focus()
    await page.keyboard.press("Control+k")
    await page.getByRole("combobox").fill("tide table")
    await page.keyboard.press("Enter")
    await expect.poll(() => page.evaluate(() => document.activeElement?.className)).toContain("cm-content")
    expect(await page.locator(".title-input").inputValue()).toBe("Tide table")
  }
})

test("single keys can be turned off, and the text says its language", async () => {
  ada = await person()
  await startFromSample()
  await ada.openDocument("Winter count")
  const languageOf = (): Promise<string | null> =>
    ada.editor().evaluate((text) => text.closest("[lang]")?.getAttribute("lang") ?? null)
  expect(await languageOf()).toBe("en")
  await ada.page.getByText("About this document").click()
  await ada.page.getByRole("combobox", { name: "Language" }).selectOption("de")
  await expect.poll(languageOf).toBe("de")
  await ada.goto("/board")
  await ada.page.keyboard.press("?")
  await ada.page.getByRole("checkbox", { name: /Single keys/ }).uncheck()
  await ada.page.keyboard.press("Escape")
  await ada.page.getByRole("dialog").waitFor({ state: "detached" })
  await ada.page.keyboard.press("?")
  await ada.page.keyboard.press("g")
  await ada.page.keyboard.press("n")
  expect(await ada.page.getByRole("dialog").count()).toBe(0)
  expect(await ada.page.evaluate(() => location.hash)).toBe("#/board")
  await ada.page.reload()
  await ada.page.getByRole("heading", { name: "Board" }).waitFor()
  await ada.page.keyboard.press("?")
  expect(await ada.page.getByRole("dialog").count()).toBe(0)
  await ada.page.keyboard.press("Control+k")
  await ada.page.getByRole("combobox").fill("shortcuts")
  await ada.page.keyboard.press("Enter")
  await ada.page.getByRole("checkbox", { name: /Single keys/ }).check()
})

test("who wishes for less motion sees none, and the theme chosen stays", async () => {
  ada = await person()
  await startFromSample()
  await ada.page.emulateMedia({ reducedMotion: "reduce", colorScheme: "light" })
  await ada.goto("/board")
  await ada.page.locator(".card-face").first().click()
  await ada.page.getByRole("dialog").waitFor()
  const longestMs = await ada.page.evaluate(() =>
    Math.max(
      ...[...document.querySelectorAll("*")].flatMap((element) => {
        const { transitionDuration, animationDuration } = getComputedStyle(element)
        return `${transitionDuration},${animationDuration}`
          .split(",")
          .map((text) => parseFloat(text) * (text.trim().endsWith("ms") ? 1 : 1_000))
          .filter((ms) => !Number.isNaN(ms))
      }),
    ),
  )
  expect(longestMs).toBeLessThanOrEqual(1)
  await ada.page.keyboard.press("Escape")
  const background = (): Promise<string> =>
    ada.page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
  const light = await background()
  await ada.goto("/settings")
  await ada.page.getByText("Dark", { exact: true }).click()
  await expect.poll(background).not.toBe(light)
  const dark = await background()
  // The bars that a phone puts around the page.
  const bars = (): Promise<readonly string[]> =>
    ada.page.evaluate(() =>
      [...document.querySelectorAll<HTMLMetaElement>("meta[name=theme-color]")]
        .filter(({ media }) => matchMedia(media).matches)
        .map(({ dataset }) => dataset["scheme"] ?? ""),
    )
  expect(await bars()).toEqual(["dark"])
  await ada.page.reload()
  await ada.page.locator("#main").waitFor()
  expect(await background()).toBe(dark)
  expect(await bars()).toEqual(["dark"])
})

test("no script but the application's own runs, and no foreign address is reached", async () => {
  ada = await person()
  const told = await ada.page.evaluate(async () => {
    const blocked: string[] = []
    addEventListener("securitypolicyviolation", (event) => blocked.push(event.effectiveDirective))
    const script = document.createElement("script")
    // A string is refused before it can become a script.
    const refused: string[] = []
    try {
      script.textContent = "globalThis.owned = true"
      document.head.append(script)
    } catch (error) {
      refused.push(String(error))
    }
    try {
      document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='globalThis.owned = true'>")
    } catch (error) {
      refused.push(String(error))
    }
    await fetch("http://127.0.0.1:9/").catch((error: unknown) => refused.push(String(error)))
    await new Promise((resolve) => setTimeout(resolve, 200))
    return { blocked, refused, isOwned: "owned" in globalThis }
  })
  expect(told.isOwned).toBe(false)
  expect(told.refused.length).toBeGreaterThanOrEqual(2)
  expect(told.blocked).toContain("connect-src")
  expect(told.blocked.some((directive) => /script|trusted/.test(directive))).toBe(true)
})
