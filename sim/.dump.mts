import { createScenario } from "/work/main/sim/scenario.ts"
import { runSimulation } from "/work/main/sim/simulation.ts"
import { stateHash } from "@dunlin/core"
const c = createScenario(process.argv[2]!)
const doc = process.argv[3]!
const hex = (b: Uint8Array) => Buffer.from(b).toString("hex").slice(0, 8)
const r = await runSimulation(c, {
  inspect: (ds) => {
    for (const d of ds) {
      const s = d.process?.collection?.state(doc)
      console.log(
        d.index,
        s == null
          ? s
          : {
              h: hex(stateHash(s)),
              ctx: [...s.context]
                .map(([k, v]) => k.slice(0, 4) + ":" + v)
                .sort()
                .join(" "),
              sib: s.siblings.map(
                (x) =>
                  x.dot.incarnation.slice(0, 4) +
                  ":" +
                  x.dot.hlc +
                  (x.deleted ? "D" : "") +
                  " " +
                  hex(x.hash) +
                  JSON.stringify(x.payload).slice(0, 50),
              ),
              view: s.view && hex(s.view.hash) + JSON.stringify(s.view.payload).slice(0, 100),
              links: [...d.process!.engine.links.get().values()].map(
                (l) =>
                  l.session.slice(0, 4) +
                  " " +
                  [...l.replicas.values()]
                    .map((x) => x.phase + " out" + x.pendingOut + " in" + x.pendingIn)
                    .join(),
              ),
            },
      )
    }
  },
})
console.log(r.failure)
