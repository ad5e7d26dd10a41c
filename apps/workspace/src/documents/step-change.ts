import type { JsonChange, JsonOp } from "loro-crdt"

/** What a step did, as far as its operations tell without going back to the text as it was then. */
export interface StepChange {
  /** Characters. */
  readonly added: number
  readonly removed: number
  /** The longest piece that the step wrote, in one line. */
  readonly excerpt: string
  /** Whether a person can see the change: it is in the text, or in what is said about it. */
  readonly isVisible: boolean
}

/** Text written in one place for as long as its author stays there. */
interface Run {
  start: number
  readonly letters: string[]
}

const BODY = "cid:root-body:Text"
const META = "cid:root-meta:Map"
const MAX_EXCERPT = 100

/** What was written and taken back at once, such as a typing slip, counts as neither added nor removed. */
export function readStepChange(changes: Iterable<JsonChange>): StepChange {
  let run: Run = { start: 0, letters: [] }
  let longest: readonly string[] = []
  let added = 0
  let removed = 0
  let isVisible = false

  const leave = (): void => {
    added += run.letters.length
    if (run.letters.length > longest.length) longest = run.letters
  }
  const insert = (at: number, text: string): void => {
    const letters = Array.from(text)
    if (at < run.start || at > run.start + run.letters.length) {
      leave()
      run = { start: at, letters }
      return
    }
    // Typing must not copy all the letters before it, nor may letters be spread over the arguments of a call.
    const after = run.letters.splice(at - run.start)
    for (const letter of letters) run.letters.push(letter)
    for (const letter of after) run.letters.push(letter)
  }
  const remove = (at: number, count: number): void => {
    const end = run.start + run.letters.length
    const [from, to] = [Math.max(at, run.start), Math.min(at + count, end)]
    const own = Math.max(0, to - from)
    removed += count - own
    if (own > 0) run.letters.splice(from - run.start, own)
    if (at < run.start) run.start = Math.max(at, run.start - count)
  }

  for (const { ops } of changes)
    for (const op of ops) {
      if (op.container === META) isVisible = true
      const edit = textEditOf(op)
      if (edit === null) continue
      isVisible = true
      if (edit.type === "insert") insert(edit.at, edit.text)
      else remove(edit.at, edit.count)
    }
  leave()
  return { added, removed, excerpt: excerptOf(longest), isVisible }
}

type TextEdit =
  | { readonly type: "insert"; readonly at: number; readonly text: string }
  | { readonly type: "delete"; readonly at: number; readonly count: number }

function textEditOf({ container, content }: JsonOp): TextEdit | null {
  if (container !== BODY) return null
  if (content.type === "insert" && "text" in content)
    return { type: "insert", at: content.pos, text: content.text }
  if (content.type !== "delete" || !("len" in content)) return null
  // Loro records a run of backspaces as a negative length from its last character.
  const { pos, len } = content
  return { type: "delete", at: len < 0 ? pos + len + 1 : pos, count: Math.abs(len) }
}

function excerptOf(letters: readonly string[]): string {
  const line = letters.slice(0, 4 * MAX_EXCERPT).join("").replaceAll(/\s+/g, " ").trim() // prettier-ignore
  const shown = Array.from(line)
  return shown.length <= MAX_EXCERPT ? line : `${shown.slice(0, MAX_EXCERPT - 1).join("")}…`
}
