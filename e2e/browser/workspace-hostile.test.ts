import { loroReplica, memoryStore } from "@dunlin/loro"
import { afterEach, expect, test } from "vitest"
import { openStranger, type Stranger } from "../workspace/stranger.ts"
import { testWorkspace } from "../workspace/test-workspace.ts"
import { timeUntil } from "../workspace/workspace-page.ts"

const workspace = testWorkspace()
let stranger: Stranger | null = null
afterEach(() => stranger?.close())

const MARKUP = `<img src=x onerror="globalThis.owned = true">`
const ENDLESS = "Donaudampfschiff".repeat(20_000)
const NONSENSE = { created: "yesterday", updated: {}, archived: "no", editor: [MARKUP], edits: { title: 5 } }

test("a stranger's rows, presence and texts of any kind do no harm", async () => {
  const ada = await workspace.person()
  await ada.newDocument("Mine")
  await ada.goto("/board")
  await ada.addTask("My task")
  stranger = await openStranger(workspace.server.url, await ada.invite())
  const { room, documents, tasks } = stranger
  await documents.bulkInsert([
    { id: "1", title: MARKUP, tags: [MARKUP, 5, null, {}], ...NONSENSE },
    { id: "2", title: 7, tags: "no list", ...NONSENSE },
    {
      id: "3",
      title: ENDLESS,
      tags: Array.from({ length: 5_000 }, () => ENDLESS.slice(0, 100)),
      ...NONSENSE,
      updated: 1e300,
    },
    { id: "javascript:globalThis.owned=true", title: "\u202E\u0000\u2028fdp.exe", tags: [], ...NONSENSE },
    { id: "../../#AQ", title: "constructor", tags: ["__proto__"], ...NONSENSE, created: 1e308, updated: -1 },
  ] as never)
  await tasks.bulkInsert([
    { id: "1", title: MARKUP, note: { toString: 1 }, column: "__proto__", rank: 5, ...NONSENSE },
    { id: `"] , * , [x="`, title: ENDLESS, note: ENDLESS, column: "done", rank: "zzz!", ...NONSENSE },
    { id: "3", title: "", note: "", column: "doing", rank: "", ...NONSENSE, updated: 1e308 },
  ] as never)
  const notes = await room.replicate(loroReplica({ name: "notes", store: memoryStore() }))
  const quick = await notes.open("quick-note")
  quick.doc.getText("body").insert(0, MARKUP)
  quick.commit()
  const first = await notes.open("1")
  first.doc.getText("body").insert(0, `[x](javascript:globalThis.owned=true) ${MARKUP}`)
  first.doc.getMap("meta").set("description", { deep: [MARKUP] })
  first.doc.getMap("meta").set("language", `"><script>`)
  // Seconds since 1970, says the author: no date can show them.
  first.doc.commit({ timestamp: 2 ** 52 })
  for (const [field, value] of Object.entries({
    name: `${MARKUP}\u202E${"x".repeat(500)}`,
    hue: -1e308,
    color: "red;background:url(http://127.0.0.1:9/)",
    document: "__proto__",
    clock: 1e300,
    cursor: { document: "1", text: {}, anchor: "////", head: [] },
  }))
    room.presence.setField(field, value)

  await ada.goto("/documents")
  await timeUntil("all rows", async () => (await ada.page.locator(".row").count()) === 6)
  for (let row = 0; row < 6; row++) {
    await ada.page.locator(".row").nth(row).click()
    await ada.editor().waitFor()
    await ada.goto("/documents")
  }
  await ada.openDocument(MARKUP)
  await timeUntil("the text", async () => (await ada.text()).includes("[x](javascript:"))
  await ada.page.getByRole("button", { name: "History", exact: true }).click()
  await ada.page.locator(".history-step").first().waitFor()
  await ada.goto("/board")
  for (const column of ["todo", "doing", "done"])
    await ada.page.locator(`[data-column="${column}"] .card`).first().waitFor()
  // They are cards like others: to be moved, opened and deleted.
  for (const card of await ada.page.locator(".card-face").all()) {
    await card.press("Space")
    await card.press("ArrowDown")
    await card.press("Escape")
  }
  await ada.page.locator('[data-column="done"] .card-face').click()
  await ada.page.getByRole("dialog").getByRole("button", { name: "Delete" }).click()
  await ada.card("My task").locator(".card-face").waitFor()
  await ada.goto("/note")
  await timeUntil("the note", async () => (await ada.page.locator(".sheet").inputValue()) === MARKUP)
  await ada.goto("/people")
  await ada.page.locator(".person", { hasText: "<img src=x" }).waitFor()
  await ada.page.keyboard.press("Control+k")
  await ada.page.getByRole("combobox").fill("img")
  await ada.page.getByRole("option", { name: /img/ }).first().waitFor()
  await ada.page.keyboard.press("Escape")

  expect(await ada.page.evaluate(() => "owned" in globalThis)).toBe(false)
  expect(await ada.page.locator("img").count()).toBe(0)
  expect(ada.requests.filter((url) => url.includes(":9/"))).toEqual([])
  expect(
    await ada.page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
  ).toBeLessThanOrEqual(0)
  // All of it leaves by the export, and what is Ada's is as it was.
  await ada.goto("/settings")
  await ada.page.getByRole("button", { name: "Export everything" }).click()
  await ada.page.getByText(/^Exported 6 documents/).waitFor()
  await ada.page.reload()
  await ada.goto("/documents")
  await ada.page.locator(".row", { hasText: "Mine" }).waitFor()
  expect(ada.errors).toEqual([])
})
