export interface PaletteGroup<Entry> {
  readonly name: string
  readonly entries: readonly Entry[]
}

/** How many found entries come before the commands. More would push a matching command out of sight. */
const FOUND_FIRST = 6

/** Puts what people search for first, and keeps the matching commands near. */
export function groupFound<Entry>(
  found: readonly Entry[],
  commands: readonly Entry[],
): readonly PaletteGroup<Entry>[] {
  const first = commands.length === 0 ? found : found.slice(0, FOUND_FIRST)
  return withEntries([
    { name: "Documents and tasks", entries: first },
    { name: "Commands", entries: commands },
    { name: "More documents and tasks", entries: found.slice(first.length) },
  ])
}

/** Before there is a query: first where one was lately, then what one can do. */
export function groupUnasked<Entry>(
  recent: readonly Entry[],
  commands: readonly Entry[],
): readonly PaletteGroup<Entry>[] {
  return withEntries([
    { name: "Recent documents", entries: recent },
    { name: "Commands", entries: commands },
  ])
}

/** Each word of the query begins a word of the command, in any order. */
export function isCommandFor(
  { name, also = "" }: { readonly name: string; readonly also?: string },
  query: string,
): boolean {
  const words = wordsOf(`${name} ${also}`)
  return wordsOf(query).every((wanted) => words.some((word) => word.startsWith(wanted)))
}

function wordsOf(text: string): readonly string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
}

function withEntries<Entry>(groups: readonly PaletteGroup<Entry>[]): readonly PaletteGroup<Entry>[] {
  return groups.filter(({ entries }) => entries.length > 0)
}
