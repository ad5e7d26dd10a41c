import { runMesh } from "/work/main/sim/mesh.ts"
const t=performance.now(); console.log(await runMesh({ seed: +(process.argv[3]??1), peers: +process.argv[2], maxLinks: 12, writes: 40, churn: 5 })); console.log(((performance.now()-t)/1000).toFixed(1),"s")
