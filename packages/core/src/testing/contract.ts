/**
 * One requirement of a port. `run` throws or rejects when an adapter does not meet it; any test runner can call it, e.g.
 * `for (const { name, run } of storeContract(open)) test(name, run)`.
 */
export interface ContractCase {
  readonly name: string
  readonly run: () => Promise<void>
}

export class ContractError extends Error {
  override readonly name = "ContractError"
}

export function demand(condition: boolean, requirement: string): asserts condition {
  if (!condition) throw new ContractError(requirement)
}

export function demandBytes(actual: Uint8Array | null | undefined, expected: Uint8Array, what: string): void {
  const same = actual?.length === expected.length && expected.every((byte, at) => byte === actual[at])
  demand(
    same,
    `${what}: expected ${expected.length} bytes [${expected.join()}], got [${actual?.join() ?? "nothing"}]`,
  )
}

/** The code of what `work` rejects with, or null when it resolves. */
export async function codeOf(work: () => unknown): Promise<unknown> {
  try {
    await work()
    return null
  } catch (error) {
    return (error as { readonly code?: unknown }).code ?? "an error without a code"
  }
}

/** Polls until `isTrue`: adapters of the real world take their time. */
export async function eventually(
  isTrue: () => boolean,
  requirement: string,
  limitMs = 10_000,
): Promise<void> {
  const until = performance.now() + limitMs
  while (!isTrue()) {
    demand(performance.now() < until, `${requirement} within ${limitMs} ms`)
    await new Promise((resolve) => {
      setTimeout(resolve, 5)
    })
  }
}
