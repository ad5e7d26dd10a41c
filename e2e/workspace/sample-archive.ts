import { readDocument, readTask } from "../../apps/workspace/src/data/entries.ts"
import { ranksAfter } from "../../apps/workspace/src/data/rank.ts"
import { packArchive, type PortableDocument } from "../../apps/workspace/src/transfer/archive.ts"

const WORDS =
  "tide flock mud scope count wind north bank channel point sheet bird wing dawn harbour survey".split(" ")
const SPECIES = ["Dunlin", "Knot", "Sanderling", "Curlew", "Oystercatcher", "Turnstone", "Godwit", "Plover"]
const COLUMNS = ["todo", "doing", "done"] as const
const START = Date.UTC(2026, 0, 1)

/** A workspace of any size, the same each time. Only document 777 has the word "phalarope" in its body. */
export function sampleArchive(
  size: { readonly documents: number; readonly tasks: number },
  prefix = "",
): Buffer {
  const documents = Array.from({ length: size.documents }, (_, index): PortableDocument => {
    const at = START + index * 3_600_000
    const title = `${SPECIES[index % SPECIES.length]} survey ${index + 1}`
    const rare = index === 776 ? "\n\nA grey phalarope, at last." : ""
    return {
      entry: readDocument({
        id: `d${index}`,
        title,
        tags: [WORDS[index % 7]],
        created: at,
        updated: at,
        archived: false,
      }),
      body: `# ${title}\n\n${paragraph(index)}\n\n${paragraph(index + 5)}${rare}\n`,
      description: "",
      language: "en",
    }
  })
  const ranks = ranksAfter(null, size.tasks)
  const tasks = Array.from({ length: size.tasks }, (_, index) =>
    readTask({
      id: `t${index}`,
      title: `${prefix}${WORDS[index % WORDS.length]} ${WORDS[(index * 7) % WORDS.length]} ${index + 1}`,
      note: index % 4 === 0 ? paragraph(index).slice(0, 80) : "",
      column: COLUMNS[index % 3],
      rank: ranks[index],
      created: START,
      updated: START,
    }),
  )
  return Buffer.from(packArchive({ documents, tasks, quickNote: "" }))
}

function paragraph(seed: number): string {
  const words = Array.from(
    { length: 80 },
    (_, index) => WORDS[(seed * 31 + index * index * 7 + index) % WORDS.length],
  )
  return `${words.join(" ")}.`
}
