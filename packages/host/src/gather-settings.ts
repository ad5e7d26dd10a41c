import { parseArgs } from "node:util"
import { HostError } from "./host-error.ts"
import type { HostSettings } from "./host-settings.ts"
import type { SettingSource } from "./parse-settings.ts"
import { flagOf, type Setting, settingCatalog, variableOf } from "./setting-catalog.ts"
import { readSettingFile } from "./setting-files.ts"

export type Invocation =
  | { readonly type: "help" }
  | { readonly type: "version" }
  | {
      readonly type: "run"
      /** To be checked by `parseSettings`, with `source` for its messages. */
      readonly raw: Readonly<Record<string, unknown>>
      readonly source: SettingSource
    }

const catalog = Object.entries(settingCatalog) as [keyof HostSettings, Setting<unknown>][]
const VARIABLE_PREFIX = "DUNLIN_"
const CONFIG_VARIABLE = `${VARIABLE_PREFIX}CONFIG`

/** Collects settings from a file, the environment and the command line, each overriding those before it. */
export function gatherSettings(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Invocation {
  const flags = parseFlags(argv)
  if (flags["help"] === true) return { type: "help" }
  if (flags["version"] === true) return { type: "version" }

  const raw: Record<string, unknown> = {}
  const sources = new Map<string, string>()
  const take = (key: string, value: unknown, source: string): void => {
    raw[key] = value
    sources.set(key, source)
  }

  const configFile = flags["config"] ?? env[CONFIG_VARIABLE]
  if (typeof configFile === "string") {
    for (const [key, value] of Object.entries(readConfigFile(configFile)))
      take(key, value, `${configFile}, ${key}`)
  }
  for (const [key, setting] of catalog) {
    const text = env[variableOf(key)]
    if (text !== undefined && text !== "") take(key, setting.fromText(text), variableOf(key))
  }
  refuseUnknownVariables(env)
  for (const [key, setting] of catalog) {
    const text = flags[flagOf(key)]
    if (typeof text === "string") take(key, setting.fromText(text), `--${flagOf(key)}`)
  }
  return { type: "run", raw, source: (key) => sources.get(key) ?? key }
}

function parseFlags(argv: readonly string[]): Record<string, string | boolean | undefined> {
  const open = catalog.filter(([, setting]) => setting.secret !== true)
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: false,
      options: {
        ...Object.fromEntries(open.map(([key]) => [flagOf(key), { type: "string" } as const])),
        config: { type: "string" },
        help: { type: "boolean", short: "h" },
        version: { type: "boolean" },
      },
    }).values
  } catch (cause) {
    const message = cause instanceof Error ? cause.message.split(/\.\s/)[0] : String(cause)
    const secret = catalog.find(
      ([key, setting]) => setting.secret && argv.some((a) => a.startsWith(`--${flagOf(key)}`)),
    )
    const hint =
      secret === undefined
        ? "see --help"
        : `a secret would be seen in the list of processes: use ${variableOf(secret[0])} or --${flagOf(secret[0])}-file`
    throw new HostError("unknown-setting", `${message}; ${hint}`, { cause })
  }
}

function readConfigFile(path: string): Record<string, unknown> {
  const text = readSettingFile("--config", path)
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) {
      return parsed as Record<string, unknown>
    }
  } catch (cause) {
    throw new HostError("invalid-setting", `--config: ${path} is not JSON`, { cause })
  }
  throw new HostError("invalid-setting", `--config: ${path} must hold one object of settings`)
}

/** With a misspelt variable, a limit would silently be missing. */
function refuseUnknownVariables(env: Readonly<Record<string, string | undefined>>): void {
  const known = new Set([CONFIG_VARIABLE, ...catalog.map(([key]) => variableOf(key))])
  for (const name of Object.keys(env)) {
    // Kubernetes describes a service named "dunlin" to every container with names like these.
    if (/_SERVICE_(HOST|PORT)|_PORT_\d+_/.test(name)) continue
    if (name.startsWith(VARIABLE_PREFIX) && !known.has(name)) {
      throw new HostError("unknown-setting", `there is no setting for the variable ${name}; see --help`)
    }
  }
}
