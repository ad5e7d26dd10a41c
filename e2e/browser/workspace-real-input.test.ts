import { afterEach, beforeAll, expect, test } from "vitest"
import { citiesArchive, exported, typeTrace, watchLongTasks, wholeText } from "../workspace/real-input.ts"
import { say } from "../workspace/report.ts"
import { openPerson, type Person, timeUntil } from "../workspace/workspace-page.ts"
import { startWorkspaceServer, type WorkspaceServer } from "../workspace/workspace-server.ts"

let server: WorkspaceServer
beforeAll(async () => {
  server = await startWorkspaceServer()
  return () => server.close()
})

const opened: Person[] = []
afterEach(async () => {
  for (const person of opened.splice(0)) await person.close()
})

async function person(address: string = server.url): Promise<Person> {
  const one = await openPerson(address)
  opened.push(one)
  return one
}

const words = (durations: readonly number[]): string =>
  `${durations.length} long tasks, the longest ${Math.max(0, ...durations)} ms`

test("two thousand cities of the world on the board, at two devices", async () => {
  const [ada, count] = [await person(), 2_000]
  const ben = await person(await ada.invite())
  await ben.goto("/board")
  const longAtBen = await watchLongTasks(ben)
  await ada.goto("/settings")
  const started = performance.now()
  await ada.page
    .getByLabel("Files to import")
    .setInputFiles({ name: "cities.zip", mimeType: "application/zip", buffer: citiesArchive(count) })
  const counts = ben.page.locator(".column > header .numbers")
  await timeUntil(
    "every city at the other device",
    async () => (await counts.allInnerTexts()).reduce((sum, text) => sum + Number(text), 0) === count,
    120_000,
  )
  say(
    `${count} cities imported and at the other device: ${Math.round(performance.now() - started)} ms; there ${words(await longAtBen())}`,
  )
  const [here, there] = [await exported(ada), await exported(ben)]
  expect(here.tasks).toHaveLength(count)
  expect(there.tasks).toEqual(here.tasks)
  // Names in other scripts are ordinary cards, down to the last one.
  await ben.goto("/board")
  const last = here.tasks.filter(({ column }) => column === "done").at(-1)
  await ben.page
    .locator('[data-column="done"] .cards')
    .evaluate((rows) => rows.scrollTo(0, rows.scrollHeight))
  await ben
    .card(last?.title ?? "", "done")
    .last()
    .waitFor()
})

test("the writing of a paper, edit by edit, read at another device as it grows", async () => {
  const ada = await person()
  await ada.newDocument("A paper")
  const ben = await person(await ada.invite())
  await ben.openDocument("A paper")
  await ada.editor().click()
  const [longAtAda, longAtBen] = [await watchLongTasks(ada), await watchLongTasks(ben)]
  const { edits, ms, text } = await typeTrace(ada, 0.01)
  const after = await timeUntil(
    "the text at the other device",
    async () => (await wholeText(ben)) === text,
    60_000,
  )
  say(
    `${edits} edits typed in ${ms} ms, equal at the other device ${after} ms later; ` +
      `typing: ${words(await longAtAda())}; reading: ${words(await longAtBen())}`,
  )
  expect(await wholeText(ada)).toBe(text)
  // Typing with keys also works, at the end of the paper.
  await ada.editor().press("Control+End")
  await ada.page.keyboard.type(" And so they turned.", { delay: 15 })
  say(`twenty keys: ${words(await longAtAda())}`)
  await timeUntil("the keys at the other device", async () =>
    (await wholeText(ben)).endsWith("And so they turned."),
  )
  expect(await wholeText(ben)).toBe(await wholeText(ada))
})
