import { readDocument, readTask, type Column } from "../data/entries.ts"
import { ranksAfter } from "../data/rank.ts"
import type { Workspace } from "../workspace/workspace.ts"
import type { PortableDocument } from "./archive.ts"
import { addPortable } from "./import.ts"

const HOUR = 3_600_000

/** A small season of field work, so that there is something to read, move and merge. */
export async function addSample(workspace: Workspace): Promise<void> {
  const now = Date.now()
  const documents = DOCUMENTS.map(([title, tags, body], index): PortableDocument => {
    const at = now - index * 7 * HOUR
    return {
      entry: readDocument({ id: `sample-${index}`, title, tags, created: at, updated: at, archived: false }),
      body,
      description: "",
      language: "en",
    }
  })
  const ranks = ranksAfter(null, TASKS.length)
  const tasks = TASKS.map(([column, title, note], index) =>
    readTask({ id: `sample-${index}`, title, note, column, rank: ranks[index], created: now, updated: now }),
  )
  await addPortable(workspace, { documents, tasks, quickNote: "" })
}

const DOCUMENTS: readonly (readonly [title: string, tags: readonly string[], body: string])[] = [
  [
    "Winter count: how we do it",
    ["field", "guide"],
    `Two people a sector, one scope, one sheet. Count on the **rising tide**, when the flocks come close.

## Before you leave

- Check the tide table and the wind
- Charge both phones; the workspace works without a network
- Agree who writes and who looks

## On the mud

1. Sweep left to right, never back
2. Count small flocks bird by bird
3. Estimate large ones in blocks of ten, then a hundred

> When a flock lifts, stop. Note the time and wait until it settles.

Write down doubt as doubt: \`dunlin or sanderling, 40\` is worth more than a guess.
`,
  ],
  [
    "Sunday, 14 January",
    ["field", "log"],
    `Wind NW 4, clear, low water 07:52.

| Sector  | Dunlin | Knot | Curlew |
| ------- | -----: | ---: | -----: |
| North   |  1,240 |  310 |     86 |
| Channel |    420 |    0 |    131 |
| Point   |  2,050 |  900 |     44 |

The big flock at the point turned as one for almost a minute. Nobody wrote anything down until it was over.
`,
  ],
  [
    "Tide table",
    ["reference"],
    `| Day | Low   | High  |
| --- | ----- | ----- |
| Fri | 06:31 | 12:44 |
| Sat | 07:10 | 13:25 |
| Sun | 07:52 | 14:09 |
| Mon | 08:40 | 15:01 |
`,
  ],
  [
    "Ideas for the spring report",
    ["writing"],
    `- Start with the photograph, not with the table
- One page a species, no more
- Say what we did **not** see: no ringed plover at the point for the third year
- Ask the harbour office for the dredging dates
`,
  ],
]

const TASKS: readonly (readonly [column: Column, title: string, note: string])[] = [
  ["todo", "Borrow the second scope", "From the school; back by Monday."],
  ["todo", "Print sheets for the channel sector", ""],
  ["todo", "Ask the harbour office about dredging dates", ""],
  ["doing", "Compare Sunday’s count with last year", "The point looks high: check block sizes."],
  ["doing", "Draft the spring report", ""],
  ["done", "Agree on sectors", ""],
  ["done", "Fix the leg of the tripod", ""],
]
