import { execFileSync, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, test } from "vitest"
import { gatherSettings } from "../src/gather-settings.ts"
import { parseSettings } from "../src/parse-settings.ts"
import { useHosts } from "./host-fixture.ts"
import { until } from "./signaling-client.ts"

const { start, connect } = useHosts()
const pathOf = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const example = (file: string): string => readFileSync(pathOf(`../examples/${file}`), "utf8")
const source = ["--conditions=@dunlin/source", "--import", "tsx"]

describe("the token issuer", () => {
  test("lets in those it signs for, and nobody else", async () => {
    const port = await freePort()
    const issuer = spawn(process.execPath, [...source, pathOf("../examples/token-issuer.ts")], {
      env: { ...process.env, PORT: String(port) },
      stdio: ["ignore", "pipe", "inherit"],
    })
    try {
      let printed = ""
      issuer.stdout.on("data", (text: Buffer) => (printed += text.toString()))
      await until(() => printed.includes("END PUBLIC KEY"), "the public key is printed")
      const keyFile = join(mkdtempSync(join(tmpdir(), "dunlin-issuer-")), "public.pem")
      writeFileSync(keyFile, printed)
      const host = await start({ jwtAlgorithm: "EdDSA", jwtKeyFile: keyFile })
      const url = `http://127.0.0.1:${port}/`
      await until(() => fetch(url).then(Boolean, () => false), "the issuer listens")
      expect((await fetch(url)).status).toBe(401)
      const token = await (await fetch(url, { headers: { cookie: "user=ada" } })).text()
      const client = await connect(host)
      expect(await client.join({ channel: 1, token })).toMatchObject({ type: "joined" })
      expect(await client.join({ channel: 2, token: `${token}x` })).toMatchObject({ code: "unauthorized" })
    } finally {
      issuer.kill()
    }
  })
})

describe("the container", () => {
  const lines = example("Dockerfile").split("\n")
  const valueOf = (instruction: string): string =>
    lines.find((line) => line.startsWith(`${instruction} `))?.slice(instruction.length + 1) ?? ""

  test("starts what the package installs, with settings that there are, on the ports it opens", () => {
    const { bin, name } = JSON.parse(readFileSync(pathOf("../package.json"), "utf8")) as {
      bin: Record<string, string>
      name: string
    }
    expect(valueOf("RUN")).toContain(`npm install --global ${name}`)
    expect(JSON.parse(valueOf("ENTRYPOINT"))).toEqual(Object.keys(bin))
    const env = Object.fromEntries(
      lines
        .flatMap((line) => /^ENV (\w+)=(.*)$/.exec(line)?.slice(1, 3).join("\0") ?? [])
        .map((pair) => pair.split("\0")),
    ) as Record<string, string>
    const invocation = gatherSettings([], env)
    if (invocation.type !== "run") throw new Error("not a run")
    const { port, operationsPort, operationsHost } = parseSettings(invocation.raw, invocation.source)
    expect(operationsPort).toBe("next")
    expect(operationsHost).toBe("0.0.0.0")
    expect(valueOf("EXPOSE")).toBe(`${port} ${port + 1}`)
  })

  test("its health check passes where a host runs, and fails where none does", async () => {
    const check = (port: number): Promise<number | null> => {
      const command = JSON.parse(valueOf("HEALTHCHECK").replace(/^.*CMD /, "")) as string[]
      const [, ...args] = command.map((part) => part.replace("127.0.0.1:8788", `127.0.0.1:${port}`))
      const child = spawn(process.execPath, args, { stdio: "ignore" })
      return new Promise((resolve) => child.on("exit", resolve))
    }
    const host = await start({ operationsPort: 0 })
    expect(await check(Number(new URL(host.operationsUrl ?? "").port))).toBe(0)
    expect(await check(await freePort())).toBe(1)
  })

  const engine = spawnSync("docker", ["info"], { stdio: "ignore" }).status === 0
  if (!engine) console.log("skipped: building the container, for want of a container engine")
  test.skipIf(!engine)("is understood by a container engine", () => {
    execFileSync("docker", ["build", "--check", pathOf("../examples")])
  })
})

describe("the systemd unit", () => {
  const analyze = spawnSync("systemd-analyze", ["--version"], { stdio: "ignore" }).status === 0
  if (!analyze) console.log("skipped: the systemd unit, for want of systemd-analyze")

  test.skipIf(!analyze)("is what systemd understands", () => {
    const folder = mkdtempSync(join(tmpdir(), "dunlin-unit-"))
    const unit = join(folder, "dunlin-host.service")
    const verify = (text: string): readonly string[] => {
      writeFileSync(unit, text)
      const { stdout, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", unit], {
        encoding: "utf8",
      })
      // Its remarks on the machine's own units do not concern ours.
      return `${stdout}${stderr}`.split("\n").filter((line) => line.includes("dunlin-host"))
    }
    // The host is not installed where tests run.
    const installed = example("dunlin-host.service").replace("/usr/local/bin/dunlin-host", "/bin/sh")
    expect(verify(installed)).toEqual([])
    expect(verify(installed.replace("TimeoutStopSec=40", "TimeoutStopSec=soon"))).toHaveLength(1)
  })

  test("leaves the host the time it needs to say goodbye", () => {
    const seconds = Number(/^TimeoutStopSec=(\d+)$/m.exec(example("dunlin-host.service"))?.[1])
    expect(seconds * 1000).toBeGreaterThan(30_000)
  })
})

function freePort(): Promise<number> {
  const server = createServer()
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" ? (address?.port ?? 0) : 0))
    })
  })
}
