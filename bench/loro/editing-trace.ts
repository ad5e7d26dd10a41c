import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { gunzipSync } from "node:zlib"

/** One edit: at the position, delete this many characters, then insert the text. */
export type Patch = readonly [position: number, deleted: number, inserted: string]

export interface EditingTrace {
  readonly patches: readonly Patch[]
  readonly endContent: string
}

/** A real paper, as it was written key by key; see bench/data. */
export function readEditingTrace(part = 1): EditingTrace {
  const file = fileURLToPath(new URL("../data/automerge-paper.json.gz", import.meta.url))
  const { txns, endContent } = JSON.parse(gunzipSync(readFileSync(file)).toString()) as {
    readonly txns: readonly { readonly patches: readonly Patch[] }[]
    readonly endContent: string
  }
  const patches = txns.flatMap((txn) => txn.patches)
  if (part === 1) return { patches, endContent }
  const first = patches.slice(0, Math.floor(patches.length * part))
  let text = ""
  for (const [at, deleted, inserted] of first) text = text.slice(0, at) + inserted + text.slice(at + deleted)
  return { patches: first, endContent: text }
}
