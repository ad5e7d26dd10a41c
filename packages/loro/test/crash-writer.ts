import { lmdbStore } from "../src/lmdb/index.ts"
import { attachByHand } from "./hand-driven.ts"

// Edits documents of a store until it is killed, and writes to standard output what was acknowledged as durable.
const [path = "", firstWord = "0"] = process.argv.slice(2)
const durability = process.argv[4] === "strict" ? "strict" : "relaxed"
const replica = await attachByHand({ name: "crash", store: lmdbStore({ path, durability }) })
const documents = await Promise.all(["a", "b", "c"].map((id) => replica.docs.open(id)))
const padding = "x".repeat(300)
for (let word = Number(firstWord); ; word++) {
  const document = documents[word % documents.length]
  if (document === undefined) break
  const text = document.doc.getText("body")
  text.insert(text.length, `${word}:${padding} `)
  await document.saved()
  process.stdout.write(`${document.id} ${word}\n`)
  // Pauses let compactions come in between.
  if (word % 70 === 69) await new Promise((resolve) => setTimeout(resolve, 270))
}
