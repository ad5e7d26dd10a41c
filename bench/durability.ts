// `npm run durability`: processes and browsers killed in the middle of writes, again and again.
//   npm run durability -- loro --quick
import { runSuites } from "./run-suites.ts"

await runSuites("durability", {
  rxdb: "durability-rxdb.ts",
  loro: "durability-loro.ts",
})
