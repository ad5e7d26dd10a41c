import { fileURLToPath } from "node:url"
import { spawnSource } from "./child-process.ts"
import type { ChildOptions } from "./child-process.ts"
import { describeThreads } from "./child-state.ts"
import { nameCall, RemoteError, within } from "./remote-module.ts"
import type { RemoteModule } from "./remote-module.ts"

/** A module that runs in a Node process of its own. */
export interface ChildPeer<Exports> extends RemoteModule<Exports> {
  readonly pid: number
  /** Sends SIGKILL: as in a crash, nothing is flushed. */
  kill(): Promise<void>
}

export type PeerRequest =
  | {
      readonly type: "call"
      readonly id: number
      readonly name: string
      readonly args: readonly unknown[]
    }
  | { readonly type: "ping" }
  | { readonly type: "describe" }
export type PeerAnswer =
  | { readonly type: "ready" }
  | { readonly type: "value"; readonly id: number; readonly value: unknown }
  | { readonly type: "error"; readonly id: number; readonly error: string }
  | { readonly type: "pong" }
  | { readonly type: "state"; readonly state: string }

export interface PeerLimits {
  /** How long a call may take. Default 100 s. */
  readonly callMs?: number
  /** For how many seconds a child that owes an answer may leave every ping unanswered. Default 30. */
  readonly silentPings?: number
}

const RUNNER = fileURLToPath(new URL("./child-peer-runner.ts", import.meta.url))
/** Less than a test may take, so that the call reports what hangs before the test's time limit does. */
const CALL_LIMIT_MS = 100_000
const START_LIMIT_MS = 60_000
const PING_EVERY_MS = 1_000
const SILENT_PINGS = 30
const DESCRIBE_LIMIT_MS = 3_000

export async function spawnPeer<Exports>(
  module: URL,
  options: ChildOptions = {},
  { callMs = CALL_LIMIT_MS, silentPings = SILENT_PINGS }: PeerLimits = {},
): Promise<ChildPeer<Exports>> {
  const child = spawnSource(RUNNER, [module.href], options)
  const pid = child.process.pid ?? 0
  const waiting = new Map<
    number,
    { what: string; resolve(value: unknown): void; reject(error: Error): void }
  >()
  let lastId = 0
  let ended = false
  let unanswered = 0
  let hearState: (state: string) => void = () => {}

  // If the child has ended, its exit event tells.
  const send = (request: PeerRequest): void => void child.process.send(request, () => {})
  const settleAll = (error: (what: string) => Error): void => {
    for (const call of waiting.values()) call.reject(error(call.what))
    waiting.clear()
  }
  // A process whose event loop is blocked, as by a deadlock in native code, reports nothing by itself.
  const pinging = setInterval(() => {
    if (waiting.size === 0) return void (unanswered = 0)
    if (++unanswered <= silentPings) return send({ type: "ping" })
    settleAll(
      (what) =>
        new RemoteError(
          `A child peer stands still: it was asked for ${what}, and has not even answered a ping since.\nIts threads:\n${describeThreads(pid)}${said(child.output)}`,
        ),
    )
  }, PING_EVERY_MS)
  pinging.unref()

  const ready = new Promise<void>((resolve, reject) => {
    child.process.on("message", (answer: PeerAnswer) => {
      unanswered = 0
      switch (answer.type) {
        case "ready":
          return resolve()
        case "pong":
          return
        case "state":
          return hearState(answer.state)
        default: {
          const call = waiting.get(answer.id)
          waiting.delete(answer.id)
          if (answer.type === "value") call?.resolve(answer.value)
          else call?.reject(new RemoteError(`${answer.error}${said(child.output)}`))
        }
      }
    })
    const fail = (reason: string): void => {
      ended = true
      clearInterval(pinging)
      const error = new RemoteError(`A child peer ended: ${reason}.${said(child.output)}`)
      reject(error)
      settleAll(() => error)
    }
    child.exited.then(
      (code) => fail(`exit code ${code ?? "none"}`),
      (error: unknown) => fail(String(error)),
    )
  })
  await within(ready, START_LIMIT_MS, async () => {
    const threads = describeThreads(pid)
    await child.kill()
    return `A child peer did not start within ${START_LIMIT_MS / 1000} s.\nIts threads:\n${threads}${said(child.output)}`
  })

  const describe = async (): Promise<string> => {
    const told = new Promise<string>((resolve) => (hearState = resolve))
    send({ type: "describe" })
    return within(told, DESCRIBE_LIMIT_MS, async () => "nothing").catch(
      () => `nothing; its threads:\n${describeThreads(pid)}`,
    )
  }

  return {
    pid,
    output: () => child.output,
    async call(name, ...args) {
      if (ended) throw new RemoteError(`The child peer has ended.${said(child.output)}`)
      const id = ++lastId
      const what = nameCall(name, args)
      const answered = new Promise<unknown>((resolve, reject) => waiting.set(id, { what, resolve, reject }))
      send({ type: "call", id, name, args })
      const result = await within(answered, callMs, async () => {
        waiting.delete(id)
        return `A child peer did not answer ${what} within ${callMs / 1000} s. It says of itself:\n${await describe()}${said(child.output)}`
      })
      return result as never
    },
    close: () => child.stop(),
    kill: () => child.kill(),
  }
}

function said(output: readonly string[]): string {
  return output.length === 0 ? "" : `\nIt said:\n${output.slice(-20).join("\n")}`
}
