import { describe, expect, test } from "vitest"
import { sampleArchive } from "../workspace/sample-archive.ts"
import { reportTime } from "../workspace/report.ts"
import { testWorkspace } from "../workspace/test-workspace.ts"
import { openTab, type Person, timeUntil, WAIT_MS } from "../workspace/workspace-page.ts"

const workspace = testWorkspace({ browsers: 2 })
const { person, lastingPerson } = workspace

/** Ada with a document, and Ben, who has opened her link and that document. */
async function pair(title = "Shared notes"): Promise<readonly [Person, Person]> {
  const ada = await person()
  await ada.newDocument(title)
  const ben = await person(await ada.invite())
  await ben.openDocument(title)
  await timeUntil("two here", async () => (await here(ada)) === 2)
  return [ada, ben]
}

const here = async ({ page }: Pick<Person, "page">): Promise<number> =>
  Number(/(\d+) here/.exec(await page.getByTestId("here").innerText())?.[1])

const bothRead =
  (ada: Person, ben: Person, text: string): (() => Promise<boolean>) =>
  async () =>
    (await ada.text()).includes(text) && (await ben.text()).includes(text)

describe("with two devices", () => {
  test("an invite link brings the documents, and its secret is in no request", async () => {
    const ada = await person()
    await ada.newDocument("Tide table")
    const link = await ada.copyInvite()
    expect(link).toBe(await ada.invite())
    const started = performance.now()
    const ben = await person(link)
    await ben.page.locator(".row", { hasText: "Tide table" }).waitFor()
    reportTime("listed at the other device, browser start included", performance.now() - started, 5_000)
    const secret = link.split("#")[1] ?? ""
    expect(secret.length).toBeGreaterThan(60)
    expect(ben.page.url()).not.toContain(secret)
    for (const url of [...ben.requests, ...ada.requests]) expect(url).not.toContain(secret.slice(0, 20))
    expect([...ada.errors, ...ben.errors]).toEqual([])
  })

  test("two people type at once and nothing is lost", async () => {
    const [ada, ben] = await pair()
    const [a, b] = ["abcdefghij".repeat(5), "0123456789".repeat(5)]
    await ada.editor().click()
    await ben.editor().click()
    await Promise.all([ada.page.keyboard.type(a), ben.page.keyboard.type(b)])
    const ms = await timeUntil("equal texts", async () => {
      const [one, two] = [await ada.text(), await ben.text()]
      return one === two && one.replaceAll(/\s/g, "").length === 100
    })
    reportTime("equal after the last key", ms, 2_000)
    const text = await ada.text()
    for (const character of "abcdefghij0123456789") expect(text.split(character).length - 1).toBe(5)
  })

  test("the caret of the other shows with the name, and goes with them", async () => {
    const [ada, ben] = await pair()
    const name = await nameOf(ben)
    const started = performance.now()
    await ben.editor().click()
    await ben.page.keyboard.type("here")
    const caret = ada.page.locator(".document").getByText(name, { exact: true })
    await caret.first().waitFor({ state: "attached" })
    reportTime("caret and name seen", performance.now() - started, 1_000)
    const left = performance.now()
    await ben.page.close()
    await timeUntil("caret gone", async () => (await caret.count()) === 0)
    reportTime("caret gone after the window closed", performance.now() - left, 5_000)
  })

  test("the count of who is here follows", async () => {
    const [ada, ben] = await pair()
    expect(await here(ben)).toBe(2)
    await ben.page.close()
    reportTime("one left", await timeUntil("one here", async () => (await here(ada)) === 1), 10_000)
  })

  test("what both change while apart is merged, and nothing is lost", async () => {
    const [ada, ben] = await pair()
    await ada.goto("/board")
    await ada.addTask("Count birds")
    await ben.goto("/board")
    await ben.card("Count birds").waitFor()
    for (const one of [ada, ben]) {
      await one.pause()
      await one.context.setOffline(true)
    }
    for (const [one, title, text] of [
      [ada, "Count waders", "from Ada. "],
      [ben, "Count gulls", "from Ben. "],
    ] as const) {
      await one.card("Count birds").locator(".card-face").click()
      await one.page.getByRole("dialog").getByRole("textbox", { name: "Title" }).fill(title)
      await one.page.getByRole("button", { name: "Done" }).click()
      await one.card(title).waitFor()
      await one.goto("/documents")
      await one.openDocument("Shared notes")
      await one.editor().click()
      await one.page.keyboard.type(text)
      expect(await one.sync()).toMatch(/paused/i)
    }
    for (const one of [ada, ben]) {
      await one.context.setOffline(false)
      await one.resume()
    }
    const started = performance.now()
    await timeUntil("both texts at both", bothRead(ada, ben, "from Ada."))
    await timeUntil("both texts at both", bothRead(ada, ben, "from Ben."))
    reportTime("document equal after both are back", performance.now() - started, 5_000)
    expect(await ada.text()).toBe(await ben.text())
    for (const one of [ada, ben]) await one.goto("/board")
    const titleOf = ({ page }: Person): Promise<string> => page.locator(".card-title").first().innerText()
    await timeUntil("one title at both", async () => (await titleOf(ada)) === (await titleOf(ben)))
    reportTime("task equal too", performance.now() - started, 5_000)
    const kept = await titleOf(ada)
    const lost = kept === "Count gulls" ? "Count waders" : "Count gulls"
    // Both are shown the lost value and its author, above all the one who lost it.
    for (const one of [ada, ben]) {
      await one.page.getByRole("button", { name: /Merged changes/ }).click()
      await one.page.locator(".merges .lost", { hasText: lost }).waitFor()
      await one.page.keyboard.press("Escape")
    }
    // The lost value can be brought back.
    await ben.page.getByRole("button", { name: /Merged changes/ }).click()
    await ben.page.getByRole("button", { name: /^Restore/ }).click()
    for (const one of [ada, ben]) await one.card(lost).waitFor()
  })

  test("whoever comes back after a reload is told what was merged, and so is the other", async () => {
    const [ada, ben] = await pair()
    const rename = async (one: Person, title: string): Promise<void> => {
      await one.page.getByRole("textbox", { name: "Title" }).fill(title)
      await one.page.locator(".row", { hasText: title }).waitFor()
    }
    await ben.pause()
    await ben.page.reload()
    await ben.openDocument("Shared notes")
    await rename(ada, "Notes of Ada")
    await rename(ben, "Notes of Ben")
    await ben.resume()
    for (const one of [ada, ben]) {
      await one.goto("/people")
      await one.page.getByRole("button", { name: /Merged changes/ }).click()
      await one.page.locator(".merges .kept", { hasText: "Notes of Ben" }).waitFor()
      await one.page.locator(".merges .lost", { hasText: "Notes of Ada" }).waitFor()
      await one.page.keyboard.press("Escape")
    }
    // Somebody who joins later is not told of it.
    const cleo = await person(await ada.invite())
    await cleo.page.locator(".row", { hasText: "Notes of Ben" }).waitFor()
    await timeUntil("synced", async () => (await cleo.sync()).startsWith("Synced with 2"))
    await cleo.goto("/people")
    await cleo.page.getByRole("heading", { name: "People" }).waitFor()
    expect(await cleo.page.getByRole("button", { name: /Merged changes/ }).count()).toBe(0)
  })

  test("pending goes from many to none after a reconnect, and the words follow", async () => {
    const [ada, ben] = await pair()
    await timeUntil("synced", async () => (await ada.sync()).startsWith("Synced with 1 device"))
    await ben.pause()
    await timeUntil("alone", async () => (await ada.sync()) === "Saved on this device")
    await ada.goto("/settings")
    await ada.page.getByLabel("Files to import").setInputFiles({
      name: "while-apart.zip",
      mimeType: "application/zip",
      buffer: sampleArchive({ documents: 0, tasks: 400 }),
    })
    await ada.page.getByText("Imported 0 documents and 400 tasks.").waitFor()
    await ada.goto("/people")
    const said = await recordWords(ada)
    await ben.resume()
    const ms = await timeUntil("synced again", async () => (await ada.sync()) === "Synced with 1 device")
    reportTime("synced after the reconnect", ms, 5_000)
    const pending = (await said()).flatMap((text) => /Syncing (\d+) changes?/.exec(text)?.[1] ?? [])
    expect(Math.max(...pending.map(Number))).toBeGreaterThan(10)
    await ada.page.locator(".facts").getByText("nothing", { exact: true }).waitFor()

    // A third device has to fetch everything; meanwhile Ada is in sync with one of two.
    await person(await ada.invite())
    await timeUntil("synced with both", async () => (await ada.sync()) === "Synced with 2 devices")
    expect(await said()).toContainEqual(expect.stringContaining("Synced with 1 of 2 devices"))
  })

  test("undo takes back only what I wrote", async () => {
    const [ada, ben] = await pair()
    await ben.editor().click()
    await ben.page.keyboard.type("Ben was here. ")
    await timeUntil("Ben’s text at Ada", async () => (await ada.text()).includes("Ben was here."))
    await ada.editor().click()
    await ada.page.keyboard.press("Control+End")
    await ada.page.keyboard.type("Ada too.")
    await timeUntil("both", bothRead(ada, ben, "Ada too."))
    await ada.page.keyboard.press("Control+z")
    await timeUntil("only Ada’s text gone", async () => !(await ada.text()).includes("Ada too."))
    expect(await ada.text()).toContain("Ben was here.")
    await timeUntil("gone at Ben too", async () => !(await ben.text()).includes("Ada too."))
    expect(await ben.text()).toContain("Ben was here.")
  })

  test("without the server people go on, and are told calmly", async () => {
    const [ada, ben] = await pair()
    await workspace.server.stopSignaling()
    await ada.editor().click()
    await ada.page.keyboard.type("still here")
    reportTime(
      "a key arrives without a server",
      await timeUntil("text", bothRead(ada, ben, "still here")),
      2_000,
    )
    await ben.page.close()
    const ms = await timeUntil("calm note", async () =>
      (await ada.sync()).includes("Can’t find other devices, retrying"),
    )
    reportTime("calm note", ms, 10_000)
    expect(await ada.page.getByRole("dialog").count()).toBe(0)
    await ada.newDocument("Written alone")
    await ada.editor().click()
    await ada.page.keyboard.type("and kept")
    await workspace.server.startSignaling()
    const again = await person(await ada.invite())
    // A client that was refused again and again asks at longer intervals, up to half a minute.
    await again.page.locator(".row", { hasText: "Written alone" }).waitFor({ timeout: 75_000 })
    await again.openDocument("Written alone")
    await timeUntil("text", async () => (await again.text()).includes("and kept"))
  })
})

describe("with one device", () => {
  test("without a network the app opens, and document and board can be edited", async () => {
    const ada = await lastingPerson()
    await ada.newDocument("Offline notes")
    await ada.page.evaluate(async () => void (await navigator.serviceWorker.ready))
    await timeUntil("the app is kept", async () =>
      ada.page.evaluate(async () => {
        const names = await caches.keys()
        const keys = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()))
        return keys.flat().some(({ url }) => url.includes(".wasm"))
      }),
    )
    // What browsers require of an application before they offer to install it.
    const manifest = await ada.page.evaluate(async () => {
      const { href } = document.querySelector<HTMLLinkElement>("link[rel=manifest]") ?? { href: "" }
      const { name, display, start_url, icons } = (await (await fetch(href)).json()) as {
        readonly [key: string]: unknown
        readonly icons: readonly { readonly src: string; readonly sizes: string }[]
      }
      const found = await Promise.all(icons.map(async ({ src, sizes }) => (await fetch(src)).ok && sizes))
      return { name, display, start_url, found }
    })
    expect(manifest).toEqual({
      name: "Dunlin workspace",
      display: "standalone",
      start_url: "/",
      found: ["192x192", "512x512", "any"],
    })
    await ada.context.setOffline(true)
    // Chromium 150 tells pages loaded from here on that they are online, which a device without a network never does.
    await ada.context.addInitScript(() =>
      Object.defineProperty(Navigator.prototype, "onLine", { get: () => false }),
    )
    const started = performance.now()
    await ada.page.reload()
    await ada.openDocument("Offline notes")
    reportTime("document open after an offline reload", performance.now() - started, 5_000)
    await ada.editor().click()
    await ada.page.keyboard.type("typed without a network")
    await ada.goto("/board")
    await ada.addTask("Moved without a network")
    await expect
      .poll(() => ada.sync(), { timeout: WAIT_MS })
      .toBe("Offline: changes are saved on this device")
    await ada.page.reload()
    await ada.card("Moved without a network").waitFor()
    await ada.goto("/documents")
    await ada.openDocument("Offline notes")
    await timeUntil("the text is kept", async () => (await ada.text()).includes("typed without a network"))
  })

  test("everything is there after a reload, and the browser was asked to keep it", async () => {
    const ada = await lastingPerson()
    await ada.newDocument("Kept")
    await ada.editor().click()
    await ada.page.keyboard.type("every word")
    await ada.goto("/board")
    await ada.addTask("A task")
    await ada.goto("/note")
    await ada.page.getByRole("textbox", { name: "Quick note" }).fill("a note")
    await ada.page.waitForTimeout(500)
    await ada.page.reload()
    await timeUntil("the note", async () => (await ada.page.locator(".sheet").inputValue()) === "a note")
    await ada.goto("/board")
    await ada.card("A task").waitFor()
    await ada.goto("/documents")
    await ada.openDocument("Kept")
    await timeUntil("the text", async () => (await ada.text()).includes("every word"))
    await ada.goto("/settings")
    await ada.page.getByTestId("persistence").waitFor()
    expect(await ada.page.getByTestId("persistence").innerText()).toMatch(
      /^The browser (promised|may)|makes no promise/,
    )
    await ada.page.getByText(/used of the/).waitFor()
  })

  test("two tabs stay equal without a network", async () => {
    const ada = await lastingPerson()
    await ada.newDocument("In two tabs")
    const tab = await openTab(ada, workspace.server.url)
    await tab.openDocument("In two tabs")
    const ben = await person(await ada.invite())
    await timeUntil("Ben is connected", async () => (await here(ben)) === 2)
    await ben.goto("/people")
    // One connection serves both tabs: each side sees one other person, in either tab.
    await timeUntil("one connection", async () => (await ben.page.locator(".facts").count()) === 1)
    expect(await ben.page.locator(".facts").innerText()).toContain("direct")
    await timeUntil("two people in both tabs", async () => (await here(ada)) === 2 && (await here(tab)) === 2)
    await ada.context.setOffline(true)
    await ada.editor().click()
    await ada.page.keyboard.type("from the first tab")
    const ms = await timeUntil("the second tab", async () =>
      (await tab.text()).includes("from the first tab"),
    )
    reportTime("a text in the other tab", ms, 1_000)
    await tab.goto("/board")
    await tab.addTask("From the second tab")
    await ada.goto("/board")
    await ada.card("From the second tab").waitFor()
  })
})

/** Every text that the heading of the people screen shows from now on. */
async function recordWords({ page }: Person): Promise<() => Promise<readonly string[]>> {
  await page.locator(".people-sync").evaluate((head) => {
    const texts: string[] = []
    const note = (): void => void texts.push(head.textContent)
    new MutationObserver(note).observe(head, { subtree: true, childList: true, characterData: true })
    Object.assign(globalThis, { wordsOfSync: texts })
  })
  return () => page.evaluate(() => (globalThis as unknown as { wordsOfSync: string[] }).wordsOfSync)
}

async function nameOf(one: Person): Promise<string> {
  const label = (await one.page.locator(".here").getAttribute("aria-label")) ?? ""
  return (/here: ([^,]+)/.exec(label)?.[1] ?? "").trim()
}
