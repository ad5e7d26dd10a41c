import { appendFileSync, mkdirSync, writeFileSync } from "node:fs"
import { cpus, loadavg } from "node:os"
import { fileURLToPath } from "node:url"

/** The raw figures of a suite: JSON lines in a file in `bench/out`. */
export interface Figures {
  /** Path from the root of the repository. */
  readonly file: string
  /** Empties the file and prints the machine. */
  begin(): void
  add(line: object): void
}

export function createFigures(suite: string): Figures {
  const file = `bench/out/${suite}.jsonl`
  const path = fileURLToPath(new URL(`out/${suite}.jsonl`, import.meta.url))
  return {
    file,
    begin() {
      mkdirSync(fileURLToPath(new URL("out", import.meta.url)), { recursive: true })
      writeFileSync(path, "")
      printMachine()
    },
    add: (line) => appendFileSync(path, `${JSON.stringify(line)}\n`),
  }
}

export function printMachine(): void {
  const [cpu] = cpus()
  const load = (loadavg()[0] ?? 0).toFixed(1)
  console.log(`${cpus().length} × ${cpu?.model ?? "unknown CPU"}, load ${load}, Node ${process.version}`)
}
