import { LoroDoc } from "loro-crdt"

export interface LongHistory {
  readonly update: Uint8Array
  readonly changes: number
  readonly text: string
}

const WORDS = "the tide turns and all of the flock lifts off the bank ".split(" ")
const EVERY_MS = 20_000
const PAUSE_MS = 15 * 60_000
const PAUSE_AFTER = 20

/** Two authors who take turns on one text, each seeing what the other wrote, with occasional pauses. */
export function longHistory(changes: number): LongHistory {
  const docs = [new LoroDoc(), new LoroDoc()] as const
  let at = Date.UTC(2026, 0, 1)
  for (let turn = 0; turn < changes; turn++) {
    const [doc, other] = turn % 2 === 0 ? docs : [docs[1], docs[0]]
    const text = doc.getText("body")
    text.insert((turn * 7_919) % (text.length + 1), `${WORDS[turn % WORDS.length]} `)
    doc.commit({ timestamp: Math.floor(at / 1_000) })
    other.import(doc.export({ mode: "update", from: other.version() }))
    at += turn % PAUSE_AFTER === 0 ? PAUSE_MS : EVERY_MS
  }
  const [doc] = docs
  const update = doc.export({ mode: "update" })
  return { update, changes: doc.changeCount(), text: doc.getText("body").toString() }
}
