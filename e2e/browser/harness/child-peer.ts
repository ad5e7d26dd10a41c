import { fileURLToPath } from "node:url"
import { spawnSource } from "./child-process.ts"
import type { ChildOptions } from "./child-process.ts"
import { RemoteError } from "./remote-module.ts"
import type { RemoteModule } from "./remote-module.ts"

/** A module running in a Node process of its own. */
export interface ChildPeer<Exports> extends RemoteModule<Exports> {
  readonly pid: number
  /** SIGKILL: nothing is flushed, as in a crash. */
  kill(): Promise<void>
}

export type PeerRequest = { readonly id: number; readonly name: string; readonly args: readonly unknown[] }
export type PeerAnswer =
  | { readonly type: "ready" }
  | { readonly type: "value"; readonly id: number; readonly value: unknown }
  | { readonly type: "error"; readonly id: number; readonly error: string }

const RUNNER = fileURLToPath(new URL("./child-peer-runner.ts", import.meta.url))

export async function spawnPeer<Exports>(
  module: URL,
  options: ChildOptions = {},
): Promise<ChildPeer<Exports>> {
  const child = spawnSource(RUNNER, [module.href], options)
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  let lastId = 0
  let ended = false

  const ready = new Promise<void>((resolve, reject) => {
    child.process.on("message", (answer: PeerAnswer) => {
      if (answer.type === "ready") return resolve()
      const call = waiting.get(answer.id)
      waiting.delete(answer.id)
      if (answer.type === "value") call?.resolve(answer.value)
      else call?.reject(new RemoteError(`${answer.error}${said(child.output)}`))
    })
    const fail = (reason: string): void => {
      ended = true
      const error = new RemoteError(`A child peer ended: ${reason}.${said(child.output)}`)
      reject(error)
      for (const call of waiting.values()) call.reject(error)
      waiting.clear()
    }
    child.exited.then(
      (code) => fail(`exit code ${code ?? "none"}`),
      (error: unknown) => fail(String(error)),
    )
  })
  await ready

  return {
    pid: child.process.pid ?? 0,
    output: () => child.output,
    async call(name, ...args) {
      if (ended) throw new RemoteError(`The child peer has ended.${said(child.output)}`)
      const id = ++lastId
      const request: PeerRequest = { id, name, args }
      const answered = new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject }))
      child.process.send(request)
      return (await answered) as never
    },
    close: () => child.stop(),
    kill: () => child.kill(),
  }
}

function said(output: readonly string[]): string {
  return output.length === 0 ? "" : `\nIt said:\n${output.slice(-20).join("\n")}`
}
