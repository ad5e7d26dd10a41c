import { createScenario } from "/work/main/sim/scenario.ts"
import { runSimulation } from "/work/main/sim/simulation.ts"
const lines: string[] = []
const c = createScenario(process.argv[2]!)
const r = await runSimulation(c, { trace: (l) => lines.push(l), frames: process.argv[4] === "f" })
console.log(JSON.stringify(c.edges))
c.peers.forEach((p, i) => console.log(i, JSON.stringify(p)))
for (const l of lines.slice(-Number(process.argv[3] ?? 60))) console.log(l.slice(0, 200))
console.log(r.failure)
