import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { gatherSettings } from "./gather-settings.ts"
import { helpText } from "./help-text.ts"
import { HostError } from "./host-error.ts"
import { parseSettings } from "./parse-settings.ts"
import type { HostOptions } from "./start-host.ts"
import { flagOf, settingCatalog, variableOf } from "./setting-catalog.ts"

const messageOf = (act: () => unknown): string => {
  try {
    act()
  } catch (error) {
    expect(error).toBeInstanceOf(HostError)
    return (error as HostError).message
  }
  throw new Error("nothing was thrown")
}

const run = (argv: readonly string[], env: Record<string, string> = {}): ReturnType<typeof parseSettings> => {
  const invocation = gatherSettings(argv, env)
  if (invocation.type !== "run") throw new Error("not a run")
  return parseSettings(invocation.raw, invocation.source)
}

describe("settings", () => {
  test("nothing needs to be set, and every default is valid by its own schema", () => {
    const settings = parseSettings({})
    expect(settings.port).toBe(8787)
    expect(parseSettings({ ...settings })).toEqual(settings)
  })

  test("an option that is undefined leaves the default, as the types allow", () => {
    const options: HostOptions = {
      port: undefined,
      origins: undefined,
      turnSecret: process.env["A_VARIABLE_THAT_IS_NOT_SET"],
    }
    const { authorizeJoin: _, ...settings } = options
    expect(parseSettings(settings)).toEqual(parseSettings({}))
  })

  test("the defaults are those that are promised", () => {
    expect(parseSettings({})).toMatchObject({
      maxFrameBytes: 32_768,
      maxJoinFrameBytes: 1024,
      httpTimeoutMs: 15_000,
      maxHeaderBytes: 8192,
      joinDeadlineMs: 15_000,
      jwtMaxLifetimeSeconds: 600,
      addressConnectionsPerSecond: 10,
      addressConnectionBurst: 30,
      addressMaxConnections: 100,
      addressFailedJoinsPerMinute: 20,
      addressBlockMs: 600_000,
      socketMessagesPerSecond: 20,
      socketMessageBurst: 100,
      socketBytesPerSecond: 65_536,
      socketByteBurst: 262_144,
      socketMaxTopics: 8,
      roomMaxSockets: 64,
      roomMessagesPerSecond: 200,
      maxSockets: 10_000,
      maxTopics: 100_000,
      maxLoopLagMs: 200,
      maxHeapPercent: 80,
      heartbeatMs: 25_000,
      heartbeatGraceMs: 20_000,
      idleMs: 60_000,
      slowBytes: 262_144,
      slowCloseBytes: 1_048_576,
      slowCloseMs: 10_000,
      turnTtlSeconds: 3600,
      turnRequestsPerMinute: 5,
    })
    expect(() => parseSettings({ roomMaxSockets: 257 })).toThrow(HostError)
    expect(() => parseSettings({ drainMs: 30_000 })).toThrow(HostError)
  })

  test.each([
    [{ port: -1 }, "port"],
    [{ port: 1.5 }, "port"],
    [{ port: "80" }, "port"],
    [{ origins: ["https://a.example/x"] }, "origins"],
    [{ origins: "https://a.example" }, "origins"],
    [{ path: "no-slash" }, "path"],
    [{ trustedProxies: ["10.0.0.0/64"] }, "trustedProxies"],
    [{ jwtAlgorithm: "none" }, "jwtAlgorithm"],
    [{ jwtAlgorithm: "EdDSA" }, "jwtKey"],
    [{ jwtKey: "x" }, "jwtAlgorithm"],
    [{ turnUrls: ["turn:t.example"] }, "turnSecret"],
    [{ turnUrls: ["http://t.example"] }, "turnUrls"],
    [{ stunUrls: ["turn:t.example"] }, "stunUrls"],
    [{ tlsCertFile: "/c.pem" }, "tlsKeyFile"],
    [{ cluster: ["http://n.example"] }, "cluster"],
    [{ slowBytes: 2_000_000 }, "slowBytes"],
    [{ operationsPort: "maybe" }, "operationsPort"],
    [{ logLevel: "loud" }, "logLevel"],
    [{ maxSocket: 1 }, "maxSockets"],
    [{ __proto__x: 1 }, "__proto__x"],
    [{ toString: 1 }, "toString"],
  ])("%o is refused by name", (raw, named) => {
    expect(messageOf(() => parseSettings(raw))).toContain(named)
  })

  test("flags win over variables, variables over the default; messages name the source", () => {
    expect(run(["--max-sockets", "7"], { DUNLIN_MAX_SOCKETS: "8" }).maxSockets).toBe(7)
    expect(run([], { DUNLIN_MAX_SOCKETS: "8" }).maxSockets).toBe(8)
    expect(run(["--origins", "https://a.example, https://b.example"]).origins).toEqual([
      "https://a.example",
      "https://b.example",
    ])
    expect(messageOf(() => run([], { DUNLIN_MAX_SOCKETS: "many" }))).toContain("DUNLIN_MAX_SOCKETS: must be")
    expect(messageOf(() => run(["--max-sockets", "-3"]))).toContain("--max-sockets")
  })

  test("a message is one line, also where the value is missing", () => {
    expect(messageOf(() => run(["--max-sockets", "-3"]))).toBe(
      "Option '--max-sockets' argument is ambiguous; see --help",
    )
  })

  test("the port after the last one is none", () => {
    expect(messageOf(() => parseSettings({ port: 65_535 }))).toContain("operationsPort")
    expect(parseSettings({ port: 65_535, operationsPort: "off" }).port).toBe(65_535)
  })

  test("what is misspelt is refused, wherever it stands", () => {
    expect(messageOf(() => run(["--max-socket", "1"]))).toContain("--max-socket")
    expect(messageOf(() => run([], { DUNLIN_MAX_SOCKET: "1" }))).toContain("DUNLIN_MAX_SOCKET")
    expect(() =>
      run([], { DUNLIN_SERVICE_HOST: "10.0.0.1", DUNLIN_PORT_80_TCP_ADDR: "10.0.0.1" }),
    ).not.toThrow()
    expect(messageOf(() => run(["--config", "/nonexistent.json"]))).toContain("/nonexistent.json")
  })

  test("secrets are no flags", () => {
    expect(messageOf(() => run(["--turn-secret", "x"]))).toContain("DUNLIN_TURN_SECRET")
    expect(run([], { DUNLIN_TURN_SECRET: "x", DUNLIN_TURN_URLS: "turn:t.example" }).turnSecret).toBe("x")
  })

  test("no message repeats a secret, not even one that stands in an address", () => {
    for (const cluster of ["nats://ada:pa%ssword@nats.example", "nats://ada:password@na[ts"]) {
      const message = messageOf(() => run(["--cluster", cluster]))
      expect(message).toContain("--cluster: ")
      expect(message).not.toContain("ssword")
    }
  })

  test("no more ICE servers are taken than a client is told of", () => {
    const urls = (scheme: string, count: number): string[] =>
      Array.from({ length: count }, (_, index) => `${scheme}:${index}.example.org`)
    expect(messageOf(() => parseSettings({ stunUrls: urls("stun", 9) }))).toContain("stunUrls")
    const turn = { turnUrls: urls("turn", 8), turnSecret: "x" }
    expect(parseSettings({ stunUrls: urls("stun", 8), ...turn }).turnUrls).toHaveLength(8)
  })

  test("every limit can be set by option, flag, variable and file, and keeps to its bounds", () => {
    const folder = mkdtempSync(join(tmpdir(), "dunlin-settings-"))
    const numbers = Object.entries(settingCatalog).filter(
      ([key, { fallback }]) => key !== "port" && typeof fallback === "number",
    )
    expect(numbers.length).toBeGreaterThan(30)
    for (const [key, { fallback, secret }] of numbers) {
      expect(secret).toBeUndefined()
      const other = Number(fallback) + (key === "maxFrameBytes" ? -1 : 1)
      const file = join(folder, `${key}.json`)
      writeFileSync(file, JSON.stringify({ [key]: other }))
      for (const settings of [
        parseSettings({ [key]: other }),
        run([`--${flagOf(key)}`, String(other)]),
        run([], { [variableOf(key)]: String(other) }),
        run(["--config", file]),
        run([], { DUNLIN_CONFIG: file }),
      ]) {
        expect(settings[key as keyof typeof settings], key).toBe(other)
      }
      for (const wrong of [-1, 0.5, 1e15, "many", null]) {
        expect(
          messageOf(() => parseSettings({ [key]: wrong })),
          key,
        ).toContain(key)
      }
    }
  })

  test("the help says each limit's unit or what is counted, and its default", () => {
    const help = helpText({})
    for (const [key, { fallback }] of Object.entries(settingCatalog)) {
      if (typeof fallback !== "number") continue
      const entry = help.slice(help.indexOf(`--${flagOf(key)} N`)).split("\n  --")[0] ?? ""
      expect(entry, key).toContain(`[${fallback}]`)
      if (key.endsWith("Ms")) expect(entry, key).toContain("in ms")
      if (key.endsWith("Seconds")) expect(entry, key).toContain("in s")
    }
  })

  test("the help names every setting", () => {
    const help = helpText({})
    for (const [key, setting] of Object.entries(settingCatalog)) {
      expect(help).toContain(setting.secret === true ? variableOf(key) : `--${flagOf(key)}`)
    }
  })
})
