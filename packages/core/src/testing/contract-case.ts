/** One rule of a contract, for any test runner: `for (const { name, run } of cases) test(name, run)`. */
export interface ContractCase {
  readonly name: string
  run(): Promise<void>
}

/** What a broken rule throws; `message` says what was wanted and what came. */
export class ContractBreach extends Error {
  override readonly name = "ContractBreach"
}

export function demand(holds: boolean, breach: string): asserts holds {
  if (!holds) throw new ContractBreach(breach)
}

/** Waits until `holds` is true, for ten seconds at most. */
export async function eventually(holds: () => boolean, breach: string): Promise<void> {
  const end = performance.now() + 10_000
  while (!holds()) {
    demand(performance.now() < end, `within 10 s: ${breach}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
