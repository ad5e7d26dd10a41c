import { AxeBuilder } from "@axe-core/playwright"
import type { Page } from "playwright-core"
import { expect, test } from "vitest"
import { testWorkspace } from "../workspace/test-workspace.ts"
import { openTab, type Person, timeUntil, WAIT_MS } from "../workspace/workspace-page.ts"

const workspace = testWorkspace()
const { person } = workspace

/** Two people who have the same document open. */
async function shareDocument(title: string): Promise<readonly [Person, Person]> {
  const ada = await person()
  await ada.newDocument(title)
  await ada.editor().click()
  await ada.page.keyboard.type("High water at noon.")
  const ben = await person(await ada.invite())
  await ben.openDocument(title)
  await timeUntil("Ben has the text", async () => (await ben.text()) === "High water at noon.")
  return [ada, ben]
}

async function appendText(one: Person, text: string): Promise<void> {
  await one.editor().click()
  await one.page.keyboard.press("Control+End")
  await one.page.keyboard.type(text)
}

async function archive({ page }: Person): Promise<void> {
  await page.getByRole("button", { name: "Document", exact: true }).click()
  await page.getByRole("menuitem", { name: "Archive" }).click()
  await page.locator(".row").first().waitFor({ state: "detached" })
}

async function openDeletion({ page }: Person, title: string): Promise<void> {
  await page.getByRole("button", { name: "Archived" }).click()
  await page.locator(".row", { hasText: title }).click()
  await page.getByRole("button", { name: "Document", exact: true }).click()
  await page.getByRole("menuitem", { name: "Delete forever…" }).click()
  await page.getByRole("dialog").waitFor()
}

async function deleteForever(one: Person, title: string): Promise<void> {
  await archive(one)
  await openDeletion(one, title)
  await one.page.getByRole("dialog").getByRole("button", { name: "Delete forever" }).click()
  await one.page.getByText(/^Deleted “.+” forever\.$/).waitFor()
}

/** Everything that the origin has in IndexedDB, as text, whatever its structure. */
function stored(page: Page): Promise<string> {
  return page.evaluate(async () => {
    const ask = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result)
        request.onerror = () => reject(request.error ?? new Error("not read"))
      })
    const texts: string[] = []
    for (const { name } of await indexedDB.databases()) {
      const database = await ask(indexedDB.open(name ?? ""))
      for (const store of database.objectStoreNames) {
        const rows: unknown[] = await ask(database.transaction(store).objectStore(store).getAll())
        const bytesAsText = (_: string, value: unknown): unknown =>
          value instanceof Uint8Array ? new TextDecoder("latin1").decode(value) : value
        texts.push(JSON.stringify(rows, bytesAsText))
      }
      database.close()
    }
    return texts.join("\n")
  })
}

test("a document deleted forever stays deleted, whatever somebody wrote in it while they were away", async () => {
  const [ada, ben] = await shareDocument("Tides of Ameland")
  await ben.pause()
  await appendText(ben, " Low water at six.")
  await ben.page.getByRole("textbox", { name: "Title" }).fill("Tides of Ameland, and of Texel")
  await ben.page.locator(".row", { hasText: "and of Texel" }).waitFor()
  // With the document open, this page would delete what is left of it.
  await ben.goto("/documents")

  await deleteForever(ada, "Tides of Ameland")
  await ben.resume()
  // Nobody had seen what Ben wrote: he is told, although he has another screen open.
  const lost = ben.page.getByRole("status").filter({ hasText: "was deleted forever on another device." })
  await lost.getByText("“Tides of Ameland, and of Texel”").waitFor()
  await ben.page.getByText("There are no documents.").waitFor()
  for (const one of [ada, ben]) {
    await timeUntil("the row is gone", async () => (await one.page.locator(".row").count()) === 0)
    await one.page.reload()
    await one.page.locator("#documents-title").waitFor()
  }
  await timeUntil("they are synced", async () => (await ada.sync()) === "Synced with 1 device")
  for (const one of [ada, ben]) {
    expect(await one.page.locator(".row").count()).toBe(0)
    // The disk is cleared a little later.
    await timeUntil(
      "nothing of it is left",
      async () => !/Ameland|noon/.test(await stored(one.page)),
      WAIT_MS,
    )
    expect(one.errors).toEqual([])
  }
})

test("who had a deleted document open can keep its text", async () => {
  const [ada, ben] = await shareDocument("Tides")
  await ben.page.getByRole("textbox", { name: "Add a tag" }).fill("field")
  await ben.page.keyboard.press("Enter")
  // Ben himself stays with the document.
  const tab = await openTab(ben, workspace.server.url)
  await tab.pause()
  await appendText(ben, " Low water at six.")
  await deleteForever(ada, "Tides")
  await tab.resume()
  await ben.page.getByText("was deleted forever.").waitFor()
  const address = ben.page.url()
  // Pressed twice, it still makes one document.
  await ben.page.getByRole("button", { name: "Keep the text as a new document" }).dblclick()
  await ben.editor().waitFor()
  expect(await ben.text()).toBe("High water at noon. Low water at six.")
  await ben.page.getByRole("button", { name: "Remove tag field" }).waitFor()
  await ada.page.getByRole("button", { name: "Active" }).click()
  await ada.openDocument("Tides")
  await timeUntil("Ada has the copy", async () => (await ada.text()).endsWith("at six."))
  expect(await ada.page.locator(".row").count()).toBe(1)
  await ben.page.goto(address)
  await ben.page.getByText("This document was deleted forever.").waitFor()
})

test("deleting asks first, and leaves the focus on the page", async () => {
  const ada = await person()
  await ada.newDocument("Tides")
  await archive(ada)
  await openDeletion(ada, "Tides")
  await ada.page.keyboard.press("Escape")
  await ada.page.getByRole("dialog").waitFor({ state: "detached" })
  expect(await ada.page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Document")
  await ada.page.getByRole("button", { name: "Document", exact: true }).click()
  await ada.page.getByRole("menuitem", { name: "Delete forever…" }).click()
  await ada.page.getByRole("dialog").getByRole("button", { name: "Delete forever" }).click()
  await ada.page.getByText("Deleted “Tides” forever.").waitFor()
  // What was archived a moment ago cannot be brought back any more.
  expect(await ada.page.getByRole("button", { name: "Undo" }).count()).toBe(0)
  expect(await ada.page.evaluate(() => document.activeElement?.id)).toBe("main")
  expect(await ada.page.locator(".row").count()).toBe(0)
})

test("no barrier where a document is deleted, also on a phone, light or dark", async () => {
  const ada = await person()
  const { page } = ada
  const check = async (): Promise<void> => {
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme })
      await page.evaluate(() => Promise.allSettled(document.getAnimations().map(({ finished }) => finished)))
      const { violations } = await new AxeBuilder({ page })
        .withTags(["wcag2a", "wcag2aa", "wcag22aa"])
        .analyze()
      expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual(
        [],
      )
    }
  }
  await ada.newDocument("Tides")
  await archive(ada)
  await page.setViewportSize({ width: 360, height: 740 })
  await page.getByRole("button", { name: "Archived" }).click()
  await page.locator(".row", { hasText: "Tides" }).click()
  await page.getByRole("button", { name: "More" }).click()
  await page.getByRole("menuitem", { name: "Delete forever…" }).click()
  await page.getByRole("dialog").waitFor()
  await check()
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
  const address = page.url()
  await page.getByRole("dialog").getByRole("button", { name: "Delete forever" }).click()
  await page.getByText(/^Deleted “.+” forever\.$/).waitFor()
  await page.goto(address)
  await page.getByText("This document was deleted forever.").waitFor()
  await check()
})
