import { runMesh } from "./mesh.ts"
const t = performance.now()
console.log(await runMesh({ seed: 1, peers: 1000, maxLinks: 12, writes: 8, churn: 2 }))
console.log(((performance.now() - t) / 1000).toFixed(1), "s")
