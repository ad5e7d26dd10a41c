import { loadavg } from "node:os"
import { createFigures } from "../figures.ts"

const figures = createFigures("loro")

export interface Row {
  readonly work: string
  /** What was measured, in display order; numbers have their unit in the name. */
  readonly values: Readonly<Record<string, number | string>>
  /** The target in words, and whether it was met in this run. */
  readonly target?: string
  readonly met?: boolean
}

export function beginReport(): void {
  figures.begin()
}

export function report(row: Row): void {
  figures.add({ ...row, load: loadavg()[0] })
  const verdict = row.target === undefined ? "" : `   [${row.met === true ? "met" : "MISSED"}: ${row.target}]`
  console.log(`\n${row.work}${verdict}`)
  for (const [name, value] of Object.entries(row.values)) console.log(`  ${name.padEnd(44)} ${show(value)}`)
}

function show(value: number | string): string {
  if (typeof value === "string") return value
  return Number.isInteger(value) ? value.toLocaleString("en") : value.toFixed(value < 10 ? 2 : 1)
}
