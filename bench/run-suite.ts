// Runs in the child of `main.ts`: one suite, after which the process ends whatever is still open.
import { pathToFileURL } from "node:url"

export interface SuiteOptions {
  /** Smaller sizes and fewer repetitions: at most two minutes. */
  readonly quick: boolean
}

const [file = "", ...flags] = process.argv.slice(2)
const suite = (await import(pathToFileURL(file).href)) as { run(options: SuiteOptions): Promise<void> }
await suite.run({ quick: flags.includes("--quick") })
process.exit(0)
