import type { DocumentEntry, Task } from "./entries.ts"

export type SearchHit =
  | { readonly type: "document"; readonly document: DocumentEntry; readonly excerpt: Excerpt | null }
  | { readonly type: "task"; readonly task: Task; readonly excerpt: Excerpt | null }

/** A piece of text around the first match, cut so that the match can be marked. */
export interface Excerpt {
  readonly before: string
  readonly match: string
  readonly after: string
}

export interface SearchSource {
  readonly documents: readonly DocumentEntry[]
  readonly tasks: readonly Task[]
  readonly bodies: ReadonlyMap<string, string>
}

const MAX_HITS = 30
const MAX_QUERY = 200

/**
 * Every word must occur, in any order and anywhere. This is a plain scan: it takes milliseconds for 1,000 documents, is
 * never out of date, finds parts of words, and depends on no language.
 */
export function searchWorkspace({ documents, tasks, bodies }: SearchSource, query: string): readonly SearchHit[] {
  const words = wordsOf(query)
  if (words.length === 0) return []
  const found: { readonly score: number; readonly hit: () => SearchHit }[] = []
  for (const document of documents) {
    const body = bodies.get(document.id) ?? ""
    const score = scoreOf(words, `${document.title} ${document.tags.join(" ")}`, body)
    if (score > 0) found.push({ score: document.archived ? score / 4 : score, hit: () => ({ type: "document", document, excerpt: excerptOf(body, words) }) })
  }
  for (const task of tasks) {
    const score = scoreOf(words, task.title, task.note)
    if (score > 0) found.push({ score, hit: () => ({ type: "task", task, excerpt: excerptOf(task.note, words) }) })
  }
  // A single letter is found almost everywhere: only what is shown is worth an excerpt.
  return found.sort((a, b) => b.score - a.score).slice(0, MAX_HITS).map(({ hit }) => hit())
} // prettier-ignore

function wordsOf(query: string): readonly string[] {
  return fold(query.slice(0, MAX_QUERY)).split(/\s+/).filter((word) => word !== "")
} // prettier-ignore

/** Zero unless every word occurs. Titles weigh more than bodies, beginnings of words more than their middles. */
function scoreOf(words: readonly string[], title: string, body: string): number {
  const head = fold(title)
  const text = fold(body)
  let score = 0
  for (const word of words) {
    const inTitle = head.indexOf(word)
    const inBody = inTitle === -1 ? text.indexOf(word) : -1
    if (inTitle === -1 && inBody === -1) return 0
    if (inTitle >= 0) score += startsWord(head, inTitle) ? 12 : 8
    else score += startsWord(text, inBody) ? 3 : 1
  }
  return score
}

function startsWord(text: string, at: number): boolean {
  return at === 0 || !/[\p{L}\p{N}]/u.test(text.charAt(at - 1))
}

function excerptOf(text: string, words: readonly string[]): Excerpt | null {
  const folded = fold(text)
  const [word, at] = words
    .map((candidate) => [candidate, folded.indexOf(candidate)] as const)
    .find(([, index]) => index >= 0) ?? ["", -1] // prettier-ignore
  // Folding may change the length of exotic text; then the match cannot be located in the original.
  if (at < 0 || folded.length !== text.length) return null
  return {
    before: leadOf(text.slice(Math.max(0, at - 2 * MAX_LEAD), at)),
    match: text.slice(at, at + word.length),
    after: oneLine(text.slice(at + word.length, at + word.length + 90)),
  }
}

/** At most this much before a match, so that a phone still shows the match; words are not cut. */
const MAX_LEAD = 24

function leadOf(text: string): string {
  const lead = oneLine(text).trimStart()
  if (lead.length <= MAX_LEAD && text.length < 2 * MAX_LEAD) return lead
  const cut = lead.slice(-MAX_LEAD)
  return `…${cut.slice(cut.indexOf(" ") + 1)}`
}

/** The surroundings of a match, without Markdown's marks. */
function oneLine(text: string): string {
  const plain = text
    .replaceAll(/^\s*(?:#{1,6}|>|[-*+]) /gm, " ")
    .replaceAll(/[*`]/g, "")
    .replaceAll(/\||:?-{3,}:?/g, " ")
  return plain.replaceAll(/\s+/g, " ")
}

function fold(text: string): string {
  return text.toLowerCase()
}
