// `npm run bench -- loro`: documents compared with the floor below them (a bare data channel, Loro alone) and with Yjs.
// Browsers and peers run in processes of their own, all on loopback.
import { measureEditingHour, measureStore } from "./loro/document-store.ts"
import { measureKeyPress } from "./loro/key-press.ts"
import { measureManyDocuments } from "./loro/many-documents.ts"
import { beginReport } from "./loro/report.ts"
import { measureTrace } from "./loro/trace.ts"
import type { SuiteOptions } from "./run-suite.ts"

export async function run({ quick }: SuiteOptions): Promise<void> {
  beginReport()
  // Keeps the process alive: the timers of idle rooms do not, and engines linked within one process have nothing else.
  setInterval(() => undefined, 1_000)
  const only = process.argv.find((argument) => argument.startsWith("--only="))?.slice(7)
  const parts: Record<string, () => Promise<void>> = {
    keys: () => measureKeyPress(quick ? 20 : 60),
    trace: () => measureTrace(quick ? { part: 0.1, rounds: 2 } : { part: 1, rounds: 5 }),
    many: () => measureManyDocuments(quick ? 2_000 : 10_000),
    store: () => measureStore(quick ? 2_000 : 10_000),
    hour: () => measureEditingHour(quick ? 3_600 : 18_000),
  }
  for (const [name, measure] of Object.entries(parts)) {
    if (only === undefined || only === name) await measure()
  }
  console.log("\nJSON lines: bench/out/loro.jsonl")
}
