// `npm run bench`: how fast and how small, beside others and the physical floor.
//   npm run bench -- reconcile --quick    one suite, in at most two minutes
import { runSuites } from "./run-suites.ts"

await runSuites("bench", {
  reconcile: "reconcile.ts",
  host: "host.ts",
  connect: "connect.ts",
  rxdb: "rxdb.ts",
  loro: "loro.ts",
  growth: "growth.ts",
  sizes: "sizes.ts",
})
