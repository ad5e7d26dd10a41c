import { lmdbStore } from "../src/lmdb/index.ts"
import { attachByHand } from "./hand-driven.ts"

// Writes until the disk takes no more, and a little longer. Prints what was acknowledged, and what it was told then.
const [path = "", durability] = process.argv.slice(2)
const store = lmdbStore({ path, durability: durability === "strict" ? "strict" : "relaxed" })
const replica = await attachByHand({ name: "full", store })
const document = await replica.docs.open("x")
let acknowledged = 0
const heard: string[] = []
for (let word = 0; word < 5_000 && heard.length < 5; word++) {
  const text = document.doc.getText("body")
  const noise = Array.from(crypto.getRandomValues(new Uint8Array(4_000)), (byte) =>
    String.fromCharCode(33 + (byte % 90)),
  )
  text.insert(text.length, `${word}: ${noise.join("").replaceAll(" ", "_")} `)
  try {
    await document.saved()
    if (heard.length === 0) acknowledged = word + 1
  } catch (error) {
    heard.push((error as { readonly code: string }).code)
  }
}
await document.close().catch(() => undefined)
await replica.attached.detach()
process.stdout.write(JSON.stringify({ acknowledged, heard }))
