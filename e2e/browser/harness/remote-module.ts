/** Names of the functions among a module's exports. */
export type FunctionName<Exports> = {
  [Name in keyof Exports]: Exports[Name] extends (...args: never[]) => unknown ? Name : never
}[keyof Exports] &
  string

export type RemoteArguments<Exports, Name extends keyof Exports> = Exports[Name] extends (
  ...args: infer Arguments
) => unknown
  ? Arguments
  : never

export type RemoteResult<Exports, Name extends keyof Exports> = Exports[Name] extends (
  ...args: never[]
) => infer Result
  ? Awaited<Result>
  : never

/**
 * A module that runs elsewhere, in a page or another process; its exported functions are called by name. Arguments and
 * results travel as JSON to and from pages, and to and from processes also as bytes.
 */
export interface RemoteModule<Exports> {
  call<Name extends FunctionName<Exports>>(
    name: Name,
    ...args: RemoteArguments<Exports, Name>
  ): Promise<RemoteResult<Exports, Name>>
  /** What it has printed so far, including errors, one entry per line. */
  output(): readonly string[]
  close(): Promise<void>
}

export class RemoteError extends Error {
  override readonly name = "RemoteError"
}

/** Rejects with the error that `late` returns if `promise` has not settled in time. */
export async function within<Value>(
  promise: Promise<Value>,
  limitMs: number,
  late: () => Promise<string>,
): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      late().then((message) => reject(new RemoteError(message)), reject)
    }, limitMs)
  })
  try {
    return await Promise.race([promise, expired])
  } finally {
    clearTimeout(timer)
  }
}

/** For messages: `waitForPeers(1, 40000)`, with long arguments shortened. */
export function nameCall(name: string, args: readonly unknown[]): string {
  const shown = args.map((arg) => {
    if (ArrayBuffer.isView(arg)) return `${arg.byteLength} bytes`
    const text = JSON.stringify(arg) ?? String(arg)
    return text.length > 60 ? `${text.slice(0, 57)}...` : text
  })
  return `${name}(${shown.join(", ")})`
}
