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
 * A module that runs somewhere else, in a page or another process; its exported functions are called by name.
 * Between pages arguments and results travel as JSON, between processes also as bytes.
 */
export interface RemoteModule<Exports> {
  call<Name extends FunctionName<Exports>>(
    name: Name,
    ...args: RemoteArguments<Exports, Name>
  ): Promise<RemoteResult<Exports, Name>>
  /** What it printed so far, errors included, one line each. */
  output(): readonly string[]
  close(): Promise<void>
}

export class RemoteError extends Error {
  override readonly name = "RemoteError"
}
