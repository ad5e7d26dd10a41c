// `npm run soak`: ten minutes of churn, and whether memory stays where it was.
//   npm run soak -- room --quick
import { runSuites } from "./run-suites.ts"

await runSuites("soak", {
  host: "soak-host.ts",
  room: "soak-room.ts",
  links: "soak-links.ts",
})
