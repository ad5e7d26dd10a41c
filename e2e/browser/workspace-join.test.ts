import { expect, test } from "vitest"
import { testWorkspace } from "../workspace/test-workspace.ts"
import type { Person } from "../workspace/workspace-page.ts"

const workspace = testWorkspace()
const { person } = workspace

async function paste({ page }: Person, text: string): Promise<void> {
  await page.getByRole("textbox", { name: /Invite link/ }).fill(text)
  await page.getByRole("button", { name: "Join", exact: true }).click()
}

async function openJoin({ page }: Person): Promise<void> {
  await page.getByRole("button", { name: /^Workspace: / }).first().click() // prettier-ignore
  await page.getByRole("menuitem", { name: "Join with a link…" }).last().click()
}

test("an invite is pasted as it came, and a wrong one is told of beside the field", async () => {
  const ada = await person()
  await ada.newDocument("Of Ada")
  const link = await ada.invite()
  const ben = await person()
  await ben.newDocument("Of Ben")
  const own = await ben.invite()
  await openJoin(ben)
  const dialog = ben.page.getByRole("dialog", { name: "Join a workspace" })
  const field = ben.page.getByRole("textbox", { name: /Invite link/ })
  await field.press("Enter")
  expect(await field.getAttribute("aria-invalid")).toBe("false")
  await paste(ben, link.slice(0, -20))
  await dialog.getByText(/That invite link is not complete.*everything after the #/).waitFor()
  expect(await field.getAttribute("aria-invalid")).toBe("true")
  await paste(ben, own)
  await dialog.getByText(/You are in that workspace already/).waitFor()
  await ben.page.keyboard.press("Escape")
  expect(await ben.invite()).toBe(own)

  // As a mail program may have left it.
  const half = link.length - 30
  await openJoin(ben)
  await paste(ben, `<${link.slice(0, half)}\n${link.slice(half)}`)
  await ben.page.locator(".row", { hasText: "Of Ada" }).waitFor()
  await ben.page.getByText("“Shared workspace” is open. “My workspace” is still in the list").waitFor()
  expect(await dialog.count()).toBe(0)
  expect(ben.page.url()).not.toContain(link.split("#")[1]?.slice(0, 20))

  await openJoin(ben)
  await paste(ben, `Come and see: ${own}. Ben`)
  await ben.page.locator(".row", { hasText: "Of Ben" }).waitFor()
  // A link to what is open is no trouble.
  await ben.page.evaluate((hash) => (location.hash = hash), new URL(own).hash)
  await ben.page.getByText("You are in that workspace already.").waitFor()
  expect(ben.errors).toEqual([])
})
