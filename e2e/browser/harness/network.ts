import { spawn, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { findProgram } from "./find-browser.ts"

export interface LinkConditions {
  /** In one direction; a round trip takes twice as long. */
  readonly delayMs?: number
  readonly jitterMs?: number
  readonly lossPercent?: number
  /** 0 means no limit. */
  readonly rateMbit?: number
  readonly cut?: boolean
  readonly blockUdp?: boolean
}

/** A "cone" NAT can be traversed with STUN; a "symmetric" one needs TURN unless the other side is open. */
export type NatKind = "none" | "cone" | "symmetric"

/** Hosts in Linux network namespaces of their own, and the links between them. */
export interface Network {
  /** The namespace of a host, for `harness.chromium`, `harness.peer` and `harness.host`. */
  namespace(host: string): string
  /** The address at which the others reach a host. */
  address(host: string): string
  /** Changes every link, or only one, in both directions. */
  set(conditions: LinkConditions, between?: readonly [string, string]): Promise<void>
  setOneWay(
    conditions: LinkConditions,
    direction: { readonly from: string; readonly to: string },
  ): Promise<void>
  cut(one: string, other: string): Promise<void>
  heal(one: string, other: string): Promise<void>
  /** Restores every link to its initial state. */
  reset(): Promise<void>
  close(): Promise<void>
}

const NETSIM = fileURLToPath(new URL("./netsim.py", import.meta.url))

/** Why this machine cannot create networks, or null if it can. */
export function networkProblem(): string | null {
  if (process.platform !== "linux") return "network namespaces need Linux"
  if (process.getuid?.() !== 0) return "network namespaces need root"
  for (const program of ["ip", "python3"]) {
    if (findProgram(program) === null) return `${program} is not installed`
  }
  if (!existsSync("/dev/net/tun")) return "/dev/net/tun is missing"
  const probe = `dunlin-probe-${process.pid}`
  const added = spawnSync("ip", ["netns", "add", probe], { encoding: "utf8" })
  if (added.status !== 0) return `network namespaces are not permitted here: ${added.stderr.trim()}`
  spawnSync("ip", ["netns", "del", probe])
  return null
}

/** Creates a network of named hosts, each behind the given kind of NAT. */
export async function createNetwork(hosts: Readonly<Record<string, NatKind>>): Promise<Network> {
  const prefix = `dunlin-${randomBytes(3).toString("hex")}`
  const specs = Object.entries(hosts).map(([name, nat], index) => {
    const outside = `10.99.${index + 1}.2`
    return nat === "none"
      ? { name, outside, spec: { ip: outside } }
      : { name, outside, spec: { ip: `192.168.${index + 1}.2`, nat: { kind: nat, ip: outside } } }
  })
  const config = { prefix, hosts: Object.fromEntries(specs.map(({ name, spec }) => [name, spec])) }
  const child = spawn("python3", [NETSIM, JSON.stringify(config)], { stdio: ["pipe", "pipe", "pipe"] })
  let complaint = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaint += text))
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()

  const answer = async (): Promise<void> => {
    const line = await lines.next()
    if (line.done === true) throw new Error(`The network simulator ended: ${complaint.trim().slice(-2000)}`)
    const { ok, error } = JSON.parse(line.value) as { ok: boolean; error?: string }
    if (!ok) throw new Error(`The network simulator refused: ${error ?? "no reason given"}`)
  }
  await answer()

  let turn: Promise<void> = Promise.resolve()
  const command = (body: object): Promise<void> => {
    // Answers come in the order of the commands.
    const done = turn.then(async () => {
      child.stdin.write(`${JSON.stringify(body)}\n`)
      await answer()
    })
    turn = done.catch(() => undefined)
    return done
  }
  const find = (host: string): (typeof specs)[number] => {
    const spec = specs.find(({ name }) => name === host)
    if (spec === undefined) throw new Error(`The network has no host "${host}".`)
    return spec
  }
  const set = (conditions: LinkConditions, between?: readonly [string, string]): Promise<void> =>
    command(between === undefined ? { set: conditions } : { set: conditions, between })

  return {
    namespace: (host) => `${prefix}-${find(host).name}`,
    address: (host) => find(host).outside,
    set,
    setOneWay: (conditions, direction) => command({ set: conditions, ...direction }),
    cut: (one, other) => set({ cut: true }, [one, other]),
    heal: (one, other) => set({ cut: false }, [one, other]),
    reset: () => command({ reset: true }),
    async close() {
      child.stdin.end()
      await exited
    },
  }
}
