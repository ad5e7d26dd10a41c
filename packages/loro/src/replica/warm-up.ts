import { LoroDoc } from "loro-crdt"

import { freeQuietly } from "./live-document.ts"

/**
 * WebAssembly is compiled function by function when it is first called: the first import of a process takes three
 * times as long as the next ones. A room that waits for its peers has that time now, and not when a document comes.
 */
export function warmUpLoro(): void {
  const docs = [new LoroDoc(), new LoroDoc(), new LoroDoc()] as const
  const [author, reader, follower] = docs
  try {
    const text = author.getText("body")
    text.insert(0, "The first words")
    author.commit()
    reader.import(author.export({ mode: "snapshot" }))
    const from = author.oplogVersion()
    text.delete(0, 4)
    text.insert(0, "Some ")
    author.commit()
    const update = author.export({ mode: "update", from })
    from.free()
    reader.import(update)
    follower.import(author.export({ mode: "update" }))
    reader.getText("body").toString()
  } catch {
    // Whatever it is, it fails again where somebody is told of it.
  } finally {
    for (const doc of docs) freeQuietly(doc)
  }
}
