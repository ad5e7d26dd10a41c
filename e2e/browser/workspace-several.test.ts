import { expect, test } from "vitest"
import { testWorkspace } from "../workspace/test-workspace.ts"
import { openTab, type Person, timeUntil } from "../workspace/workspace-page.ts"

const workspace = testWorkspace()
const { person } = workspace

type InTab = Pick<Person, "page" | "goto">

const menuOf = ({ page }: InTab): ReturnType<Person["page"]["getByRole"]> =>
  page.getByRole("button", { name: /^Workspace: / }).first()

async function addWorkspace(one: InTab): Promise<void> {
  await menuOf(one).click()
  await one.page.getByRole("menuitem", { name: "New workspace" }).last().click()
  await one.page.getByText("There are no documents.").waitFor({ state: "attached" })
}

async function remove(one: InTab): Promise<void> {
  await one.goto("/settings")
  await one.page.getByRole("button", { name: "Remove from this device…" }).click()
  await one.page.getByRole("dialog").getByRole("button", { name: "Remove from this device" }).click()
}

test("a workspace that one tab adds is not forgotten by what another tab does", async () => {
  const ada = await person()
  const tab = await openTab(ada, workspace.server.url)
  await addWorkspace(ada)
  await ada.newDocument("In the new one")
  const invite = await ada.invite()
  await tab.goto("/settings")
  await tab.page.getByRole("textbox", { name: "Name on this device" }).fill("At home")
  await menuOf(tab).getByText("At home").waitFor()
  await ada.page.reload()
  await menuOf(ada).click()
  await ada.page.getByRole("menuitem", { name: "At home" }).waitFor()
  await ada.page.getByRole("menuitem", { name: "New workspace" }).first().click()
  await ada.page.locator(".row", { hasText: "In the new one" }).waitFor()
  expect(await ada.invite()).toBe(invite)
})

test("links that come faster than workspaces open end with the last one open, and only that", async () => {
  const ada = await person()
  await ada.newDocument("Mine")
  const invites: string[] = []
  for (let count = 0; count < 3; count++) {
    const one = await person()
    await one.newDocument(`Of person ${count}`)
    invites.push(new URL(await one.invite()).hash)
  }
  await ada.page.evaluate(async (hashes) => {
    for (const hash of hashes) {
      location.hash = hash
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }, invites)
  await ada.page.locator(".row", { hasText: "Of person 2" }).waitFor()
  await timeUntil("the last one is open", async () => (await ada.invite()).endsWith(invites[2] ?? "?"))
  // Each was opened and closed: nobody in the others still counts Ada as present.
  expect(await ada.page.locator(".row").count()).toBe(1)
  expect(await ada.page.evaluate(() => location.hash)).toBe("#/documents")
  expect(ada.errors).toEqual([])
})

test("a workspace can be removed where Loro never loaded, and other tabs let go of it", async () => {
  const ada = await person(workspace.server.url, (context) =>
    context.route(/\.wasm(\?|$)/, (route) => route.abort()),
  )
  await ada.page.getByRole("button", { name: "New", exact: true }).click()
  await ada.page.getByRole("textbox", { name: "Title" }).fill("To be removed")
  await ada.page.locator(".row", { hasText: "To be removed" }).waitFor()
  const tab = await openTab(ada, workspace.server.url)
  await tab.page.locator(".row", { hasText: "To be removed" }).waitFor()
  const invite = await ada.invite()
  await remove(ada)
  for (const one of [ada, tab]) {
    await one.page.getByText("There are no documents.").waitFor({ state: "attached" })
    expect(await one.invite()).not.toBe(invite)
  }
  await tab.page.getByText("This workspace was removed in another tab.").waitFor()
  // Both tabs are in the same new workspace.
  expect(await tab.invite()).toBe(await ada.invite())
  await ada.goto("/board")
  await ada.addTask("A beginning")
  await tab.goto("/board")
  await tab.card("A beginning").waitFor()
})
