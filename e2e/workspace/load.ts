import { cpus, loadavg } from "node:os"
import { typeTrace } from "./real-input.ts"
import { sampleArchive } from "./sample-archive.ts"
import { type TaskTrace, traceTasks } from "./task-trace.ts"
import { openPerson, type Person, timeUntil } from "./workspace-page.ts"
import { setup } from "./workspace-build.ts"
import { startWorkspaceServer } from "./workspace-server.ts"

/** Prints how the workspace performs with 1,000 documents and 5,000 tasks: `node … e2e/workspace/load.ts`. */
const SIZE = { documents: 1_000, tasks: 5_000 }
const ARRIVING = 500
const MINUTES_MS = 300_000
const LONG_MS = 50

process.stdout.write(`load of the machine: ${loadavg()[0]?.toFixed(1)} on ${cpus().length} cores\n`)
await setup()
const server = await startWorkspaceServer()
const ada = await openPerson(server.url)
const people: Person[] = [ada]
let trace: TaskTrace | null = null
try {
  await importArchive(ada, SIZE, "import")
  trace = await traceTasks(ada)

  await ada.goto("/board")
  await ada.page.locator(".card").first().waitFor()
  await report("opening the board")
  for (let turn = 0; turn < 20; turn++)
    await ada.page
      .locator(".cards")
      .first()
      .evaluate((element) => element.scrollBy(0, 4_000))
  await report("scrolling 80,000 px of a column")

  await ada.goto("/documents")
  await ada.page.locator(".row").first().click()
  await ada.editor().waitFor()
  await report("opening a document")
  await ada.editor().click()
  await ada.page.keyboard.type("The quick dunlin turns with the flock. ".repeat(5))
  await report("typing 195 characters")

  await ada.goto("/documents")
  await ada.newDocument("A paper")
  const { edits, ms } = await typeTrace(ada, 0.1)
  await report(`the first ${edits} edits of a paper in ${ms} ms`)

  const started = performance.now()
  const ben = await openPerson(await ada.invite())
  people.push(ben)
  const synced = async (one: Person): Promise<boolean> =>
    (await one.sync()).startsWith("Synced with 1 device")
  await ben.goto("/board")
  const counts = ben.page.locator(".column > header .numbers")
  await timeUntil(
    "all tasks",
    async () => (await counts.allInnerTexts()).reduce((sum, text) => sum + Number(text), 0) === SIZE.tasks,
    MINUTES_MS,
  )
  await timeUntil("all in sync", async () => (await synced(ada)) && (await synced(ben)), MINUTES_MS)
  say("a new device has everything", Math.round(performance.now() - started))
  await report("serving a new device")

  const [arrived] = await Promise.all([
    importArchive(ben, { documents: 0, tasks: ARRIVING }, `${ARRIVING} changes at the other device`, "new "),
    ada
      .editor()
      .click()
      .then(() => ada.page.keyboard.type("Typing while they arrive. ".repeat(8), { delay: 30 })),
  ])
  void arrived
  await timeUntil("in sync again", async () => (await synced(ada)) && (await synced(ben)), MINUTES_MS)
  await report(`typing while ${ARRIVING} remote changes arrive`)
} finally {
  for (const person of people) await person.close()
  await server.close()
}

async function importArchive(person: Person, size: typeof SIZE, what: string, prefix = ""): Promise<void> {
  await person.goto("/settings")
  const started = performance.now()
  const file = { name: "load.zip", mimeType: "application/zip", buffer: sampleArchive(size, prefix) }
  await person.page.getByLabel("Files to import").setInputFiles(file)
  await person.page.getByText(/^Imported \d+ documents/).waitFor({ timeout: MINUTES_MS })
  say(`${what} (${size.documents} documents, ${size.tasks} tasks)`, Math.round(performance.now() - started))
}

/**
 * Reports the page's tasks longer than 50 ms since the last report: by the clock, as a person feels them, and by their
 * own computing time, which other programs on the machine cannot change.
 */
async function report(what: string): Promise<void> {
  await ada.page.waitForTimeout(500)
  const tasks = (await trace?.stop(LONG_MS)) ?? []
  const words = (durations: readonly number[]): string =>
    `${durations.length}, longest ${Math.round(Math.max(0, ...durations))} ms`
  const computed = tasks.map(({ cpuMs }) => cpuMs).filter((ms) => ms >= LONG_MS)
  process.stdout.write(
    `${what}: long tasks by the clock ${words(tasks.map(({ wallMs }) => wallMs))}; by CPU ${words(computed)}\n`,
  )
  trace = await traceTasks(ada)
}

function say(what: string, ms: number): void {
  process.stdout.write(`${what}: ${ms} ms\n`)
}
