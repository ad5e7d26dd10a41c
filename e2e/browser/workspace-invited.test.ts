import type { BrowserContext } from "playwright-core"
import { expect, test } from "vitest"
import { testWorkspace } from "../workspace/test-workspace.ts"

const workspace = testWorkspace({ browsers: 2 })
const { person } = workspace

/** Records whether the page ever shows a text, however briefly. */
const watchFor = (text: string) => (context: BrowserContext) =>
  context.addInitScript((wanted) => {
    const look = (): void => {
      if (document.body?.textContent.includes(wanted)) Object.assign(globalThis, { wasShown: true })
    }
    new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true })
  }, text)

test("whoever is invited waits for the others’ documents, and is offered no sample among them", async () => {
  const ada = await person()
  await ada.newDocument("Tide table")
  const link = await ada.invite()
  const ben = await person(link, watchFor("Start from a sample"))
  await ben.page.locator(".row", { hasText: "Tide table" }).waitFor()
  expect(await ben.page.evaluate(() => "wasShown" in globalThis)).toBe(false)

  await ada.page.goto("about:blank")
  const cleo = await person(link, watchFor("Start from a sample"))
  // Ben has the documents as well.
  await cleo.page.locator(".row", { hasText: "Tide table" }).waitFor()
  expect(await cleo.page.evaluate(() => "wasShown" in globalThis)).toBe(false)
  for (const one of [ben, cleo]) await one.page.goto("about:blank")

  const dora = await person(link, watchFor("Start from a sample"))
  await dora.page.getByRole("heading", { name: "Waiting for the others’ documents" }).waitFor()
  await dora.page.getByText("Nothing has arrived from the others yet.").waitFor()
  expect(await dora.page.evaluate(() => "wasShown" in globalThis)).toBe(false)
  await dora.page.reload()
  await dora.page.getByRole("heading", { name: "Waiting for the others’ documents" }).waitFor()
  expect(await dora.page.evaluate(() => "wasShown" in globalThis)).toBe(false)
  // They arrive by themselves, and what was begun meanwhile stays.
  await dora.newDocument("Begun alone")
  await ben.page.goto(workspace.server.url)
  await dora.page.locator(".row", { hasText: "Tide table" }).waitFor()
  await ben.page.locator(".row", { hasText: "Begun alone" }).waitFor()
})

test("an empty workspace of somebody else is one to begin, once they were met", async () => {
  const ada = await person()
  const ben = await person(await ada.invite())
  await ben.page.getByRole("button", { name: /Start from a sample/ }).waitFor()
  await ada.page.goto("about:blank")
  await ben.page.reload()
  await ben.page.getByRole("button", { name: /Start from a sample/ }).waitFor()
})

test("workspaces that somebody was invited to can be told apart", async () => {
  const links: string[] = []
  for (const title of ["Of Ada", "Of Ben"]) {
    const one = await person()
    await one.newDocument(title)
    links.push(await one.invite())
  }
  const cleo = await person(links[0])
  await cleo.page.locator(".row", { hasText: "Of Ada" }).waitFor()
  await cleo.page.evaluate((hash) => (location.hash = hash), new URL(links[1] ?? "").hash)
  await cleo.page.locator(".row", { hasText: "Of Ben" }).waitFor()
  await cleo.page
    .getByRole("button", { name: /^Workspace: / })
    .first()
    .click()
  await cleo.page.getByRole("menuitem", { name: "Shared workspace", exact: true }).waitFor()
  await cleo.page.getByRole("menuitem", { name: "Shared workspace 2", exact: true }).click()
})
