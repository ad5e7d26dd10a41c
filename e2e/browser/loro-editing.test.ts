import { createInvite } from "@dunlin/core"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { createHarness, type Harness } from "./harness.ts"
import type { ChromiumProfile } from "./harness/chromium.ts"

type Page = typeof import("../loro/loro-page.ts")
type Tab = Awaited<ReturnType<typeof openTab>>

let harness: Harness
let ada: Tab
let bob: Tab

const openTab = async (
  profile: ChromiumProfile,
  url: URL,
  room: object,
): Promise<Awaited<ReturnType<typeof profile.open<Page>>>> => {
  const site = await harness.site(url)
  const tab = await profile.open<Page>(site)
  await tab.call("start", { store: "editing", room: room as never })
  return tab
}

beforeAll(async () => {
  harness = createHarness()
  const host = await harness.host()
  const invite = createInvite()
  const page = new URL("../loro/loro-page.ts", import.meta.url)
  ada = await openTab(await harness.chromium(), page, { invite, signaling: host.url, name: "Ada" })
  bob = await openTab(await harness.chromium(), page, { invite, signaling: host.url, name: "Bob" })
})
afterAll(() => harness.close())

async function both(id: string): Promise<void> {
  for (const tab of [ada, bob]) {
    await tab.call("open", id)
    await tab.page.evaluate("document.body.replaceChildren()")
  }
}

describe("a bound textarea, with real keys", () => {
  test("keeps the caret, the selection and the scroll while somebody else types", async () => {
    await both("caret")
    for (const tab of [ada, bob]) await tab.call("bindArea", "caret")
    const lines = Array.from({ length: 40 }, (_, at) => `line ${at}\n`).join("")
    await ada.call("insert", "caret", 0, lines)
    await bob.call("waitForText", "caret", "line 39", 20_000)
    await bob.call("select", 100, 104)
    await bob.page.evaluate("document.querySelector('textarea').scrollTop = 60")
    const before = await bob.call("area")
    await ada.call("insert", "caret", 0, "above ")
    await bob.call("waitForText", "caret", "above", 10_000)
    const after = await bob.call("area")
    expect(after).toMatchObject({ start: 106, end: 110, scrollTop: before.scrollTop })
    expect(after.value.slice(106, 110)).toBe(before.value.slice(100, 104))
  })

  test("merges what both type at once, and undoes only one's own", async () => {
    await both("typing")
    for (const tab of [ada, bob]) await tab.call("bindArea", "typing")
    await Promise.all([ada.call("select", 0, 0), bob.call("select", 0, 0)])
    await Promise.all([
      ada.page.keyboard.type("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", { delay: 20 }),
      bob.page.keyboard.type("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", { delay: 20 }),
    ])
    const count = (text: string, letter: string): number => text.split(letter).length - 1
    for (const tab of [ada, bob]) {
      await expect.poll(async () => (await tab.call("area")).value.length, { timeout: 10_000 }).toBe(100)
    }
    const value = (await ada.call("area")).value
    expect((await bob.call("area")).value).toBe(value)
    expect([count(value, "a"), count(value, "b")]).toEqual([50, 50])
    await ada.page.keyboard.press("Control+z")
    await expect
      .poll(async () => count((await bob.call("area")).value, "a"), { timeout: 40_000 })
      .toBeLessThan(50)
    expect(count((await ada.call("area")).value, "b")).toBe(50)
    await ada.page.keyboard.press("Control+Shift+z")
    await expect.poll(async () => (await bob.call("area")).value, { timeout: 10_000 }).toBe(value)
  })

  test("leaves a composition alone until it ends", async () => {
    await both("ime")
    for (const tab of [ada, bob]) await tab.call("bindArea", "ime")
    await ada.call("insert", "ime", 0, "start ")
    await bob.call("waitForText", "ime", "start ", 10_000)
    await bob.call("select", 6, 6)
    const session = await bob.page.context().newCDPSession(bob.page)
    await session.send("Input.imeSetComposition", { text: "に", selectionStart: 1, selectionEnd: 1 })
    await session.send("Input.imeSetComposition", { text: "にほ", selectionStart: 2, selectionEnd: 2 })
    await ada.call("insert", "ime", 0, ">> ")
    await bob.call("waitForText", "ime", ">> ", 10_000)
    expect((await bob.call("area")).value).toBe("start にほ")
    await session.send("Input.insertText", { text: "日本" })
    await ada.call("waitForText", "ime", ">> start 日本", 10_000)
    expect(await bob.call("area")).toMatchObject({ value: ">> start 日本", start: 11, end: 11 })
  })

  test("survives an emoji, a paste over a selection and a line break", async () => {
    await both("keys")
    for (const tab of [ada, bob]) await tab.call("bindArea", "keys")
    await ada.call("select", 0, 0)
    await ada.page.keyboard.insertText("one 🐦 two")
    await ada.page.keyboard.press("Enter")
    await ada.page.keyboard.type("three")
    await ada.call("select", 4, 6)
    await ada.page.keyboard.insertText("🐤🐤")
    await bob.call("waitForText", "keys", "one 🐤🐤 two\nthree", 10_000)
    expect((await bob.call("area")).value).toBe("one 🐤🐤 two\nthree")
  })
})

describe("a bound CodeMirror, with real keys", () => {
  test("shows what the other types, and where", async () => {
    await both("editor")
    for (const tab of [ada, bob]) await tab.call("bindEditor", "editor")
    await ada.page.click(".cm-content")
    await ada.page.keyboard.type("Hello, flock!", { delay: 10 })
    await bob.page.waitForFunction(
      "document.querySelector('.cm-content')?.textContent.includes('Hello, flock!')",
    )
    await bob.page.waitForFunction("document.querySelector('.dunlin-caret-name')?.textContent === 'Ada'")
    await ada.page.keyboard.press("Shift+Home")
    await bob.page.waitForFunction(
      "document.querySelector('.dunlin-selection')?.textContent === 'Hello, flock!'",
    )
    await bob.page.click(".cm-content")
    await bob.page.keyboard.press("Control+End")
    await bob.page.keyboard.type(" Bob")
    await ada.call("waitForText", "editor", "Hello, flock! Bob", 10_000)
    // Slow typing, as on a busy machine, is undone in several steps; undo never reaches what Ada wrote.
    await expect
      .poll(
        async () => {
          await bob.page.keyboard.press("Control+z")
          return (await ada.call("read", "editor")).trim()
        },
        { timeout: 40_000, interval: 500 },
      )
      .toBe("Hello, flock!")
    expect(new Set(await ada.call("deviceAuthors", "editor")).size).toBe(2)
    // The cursor goes with the peer, even if its page closes without saying goodbye.
    await ada.page.close()
    await bob.page.waitForFunction("document.querySelector('.dunlin-caret') === null", undefined, {
      timeout: 20_000,
    })
  })
})
