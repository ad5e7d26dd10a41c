import { appendFileSync, mkdirSync, writeFileSync } from "node:fs"
import { cpus, loadavg } from "node:os"
import { fileURLToPath } from "node:url"

const OUT = fileURLToPath(new URL("../out/loro.jsonl", import.meta.url))

export interface Row {
  readonly work: string
  /** What was measured, in display order; numbers have their unit in the name. */
  readonly values: Readonly<Record<string, number | string>>
  /** The target in words, and whether it was met in this run. */
  readonly target?: string
  readonly met?: boolean
}

export function beginReport(): void {
  mkdirSync(fileURLToPath(new URL("../out", import.meta.url)), { recursive: true })
  writeFileSync(OUT, "")
  const [cpu] = cpus()
  console.log(`${cpus().length} × ${cpu?.model ?? "unknown CPU"}, load ${load()}, Node ${process.version}`)
}

export function report(row: Row): void {
  appendFileSync(OUT, `${JSON.stringify({ ...row, load: Number(load()) })}\n`)
  const verdict = row.target === undefined ? "" : `   [${row.met === true ? "met" : "MISSED"}: ${row.target}]`
  console.log(`\n${row.work}${verdict}`)
  for (const [name, value] of Object.entries(row.values)) console.log(`  ${name.padEnd(44)} ${show(value)}`)
}

function show(value: number | string): string {
  if (typeof value === "string") return value
  return Number.isInteger(value) ? value.toLocaleString("en") : value.toFixed(value < 10 ? 2 : 1)
}

function load(): string {
  return (loadavg()[0] ?? 0).toFixed(1)
}
