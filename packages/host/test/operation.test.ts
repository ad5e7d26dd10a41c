import { execFileSync, spawn } from "node:child_process"
import { mkdtempSync, writeFileSync } from "node:fs"
import { connect as connectTcp, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Host, HostError, startHost, startSignalingServerSimplePeer } from "@dunlin/host"
import { beforeEach, describe, expect, test } from "vitest"
import { useHosts } from "./host-fixture.ts"
import { connectClient, refusedUpgrade, someTopic, until } from "./signaling-client.ts"

const { start, connect } = useHosts()
const binary = new URL("../src/bin.ts", import.meta.url).pathname
const nodeFlags = ["--conditions=@dunlin/source", "--import", "tsx"]

describe("health and metrics", () => {
  test("are on a port of their own, and name no topic, peer or address", async () => {
    const host = await start()
    const client = await connect(host)
    const topic = someTopic()
    await client.joined({ topic })
    expect((await fetch(`${host.operationsUrl}/healthz`)).status).toBe(200)
    expect((await fetch(`${host.operationsUrl}/readyz`)).status).toBe(200)
    expect((await fetch(`${host.operationsUrl}/healthz?from=balancer`)).status).toBe(200)
    expect((await fetch(`${host.operationsUrl}/other`)).status).toBe(404)
    expect((await fetch(`${host.operationsUrl}/metrics`, { method: "POST" })).status).toBe(405)
    const text = await (await fetch(`${host.operationsUrl}/metrics`)).text()
    for (const name of [
      "dunlin_sockets 1",
      "dunlin_topics 1",
      'dunlin_joins_total{result="joined"} 1',
      "dunlin_messages_in_total 1",
      "dunlin_bytes_in_total",
      "dunlin_drops_total",
      "dunlin_rate_limited_total",
      "dunlin_slow_closed_total 0",
      "dunlin_auth_failures_total 0",
      "dunlin_loop_lag_p99_seconds",
    ]) {
      expect(text).toContain(name)
    }
    expect(text).not.toContain(Buffer.from(topic).toString("hex"))
    expect(text).not.toContain("127.0.0.1")
    // A scrape reads the counts and does not add them up again.
    expect(await (await fetch(`${host.operationsUrl}/metrics`)).text()).toContain('{result="joined"} 1')
  })

  test("can be turned off", async () => {
    expect((await start({ operationsPort: "off" })).operationsUrl).toBeNull()
  })
})

describe("starting and ending", () => {
  test("a port in use is said so, and nothing is left behind", async () => {
    const blocker = createServer().listen(0)
    await new Promise((resolve) => blocker.once("listening", resolve))
    const { port } = blocker.address() as { port: number }
    await expect(startHost({ port })).rejects.toThrow(
      new HostError("address-in-use", `port: port ${port} is in use; choose another`),
    )
    await expect(startHost({ port: 0, operationsPort: port, operationsHost: "::" })).rejects.toThrow(
      /operationsPort/,
    )
    blocker.close()
    await expect(startHost({ port: 0, host: "no.such.host.invalid" })).rejects.toThrow(/^host: /)
    await expect(
      startHost({ port: 0, operationsPort: 0, operationsHost: "no.such.host.invalid" }),
    ).rejects.toThrow(/^operationsHost: /)
  })

  test("two hosts in one process do not know of each other", async () => {
    const [one, two] = [await start(), await start()]
    const topic = someTopic()
    const [a, b] = [await connect(one), await connect(two)]
    await a.joined({ topic })
    expect((await b.joined({ topic })).peers).toEqual([])
  })

  test("close says goodbye, ends every socket, and can be called again", async () => {
    const host = await start()
    const client = await connect(host)
    await client.joined()
    await Promise.all([host.close(), host.close()])
    expect((await client.next("bye")).retryMs).toBeLessThanOrEqual(10_000)
    expect((await client.closed).code).toBe(1001)
    await host.close()
    await expect(connectClient(host.url)).rejects.toThrow(/ECONNREFUSED/)
  })

  test("close ends sockets that do not answer, and HTTP that does not end", async () => {
    const host = await start()
    const client = await connect(host)
    await client.joined()
    client.socket.pause()
    const hanging = fetch(`${host.operationsUrl}/healthz`, { keepalive: true })
    await hanging
    await host.close()
    client.socket.resume()
  })

  test("draining lets sockets finish, one by one, and lets nobody in", async () => {
    const host = await start({ drainMs: 1500 })
    const topic = someTopic()
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect(host)))
    for (const client of clients) await client.joined({ topic })
    const [first] = clients
    if (first === undefined) throw new Error("nobody")
    const drained = host.drain()
    const retries = await Promise.all(clients.map(async (client) => (await client.next("bye")).retryMs))
    expect(new Set(retries).size).toBeGreaterThan(10)
    await expect(connectClient(host.url)).rejects.toThrow()
    expect((await fetch(`${host.operationsUrl}/readyz`)).status).toBe(503)
    // Some sockets are still open, so that peers can finish connections that are half made.
    const open = clients.filter(({ socket }) => socket.readyState === socket.OPEN)
    expect(open.length).toBeGreaterThan(0)
    await drained
    for (const client of clients) expect((await client.closed).code).toBe(1001)
  })

  test("who is closed by draining has not left: those who stay a little longer hear of no leave", async () => {
    const host = await start({ drainMs: 1500 })
    const topic = someTopic()
    const clients = await Promise.all(Array.from({ length: 10 }, () => connect(host)))
    for (const client of clients) await client.joined({ topic })
    await host.drain()
    const left = clients.flatMap(({ unread }) =>
      unread.flatMap((message) => (message.type === "presence" ? message.left : [])),
    )
    expect(left).toEqual([])
  })

  test("a join while draining is sent elsewhere", async () => {
    const host = await start({ drainMs: 5000 })
    const clients = await Promise.all(Array.from({ length: 8 }, () => connect(host)))
    for (const client of clients) await client.joined()
    void host.drain()
    const answers = await Promise.all(
      clients.map(async (client) => {
        await client.next("bye")
        return await client.join({ channel: 2 }).catch(() => null)
      }),
    )
    expect(answers.some((answer) => answer?.type === "error" && answer.code === "draining")).toBe(true)
    expect(answers.every((answer) => answer?.type !== "joined")).toBe(true)
  })

  test("RxDB's way of starting works", async () => {
    const server = await startSignalingServerSimplePeer({ port: 0 })
    expect(server.localUrl).toBe(`ws://localhost:${server.port}/`)
    const client = await connectClient(server.localUrl)
    await client.joined()
    await server.close()
    await client.closed
  })
})

describe("TLS", () => {
  const directory = mkdtempSync(join(tmpdir(), "dunlin-tls-"))
  const [tlsCertFile, tlsKeyFile] = [join(directory, "cert.pem"), join(directory, "key.pem")]
  const certify = (): void => {
    const request = ["req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    execFileSync("openssl", [...request, "-keyout", tlsKeyFile, "-out", tlsCertFile], { stdio: "ignore" })
  }
  /** A TCP connection that never starts a TLS handshake. */
  const openSilent = async (host: Host): Promise<{ readonly closed: Promise<unknown> }> => {
    const socket = connectTcp(host.port, "127.0.0.1").on("error", () => {})
    const closed = new Promise((resolve) => socket.once("close", resolve))
    await new Promise((resolve) => socket.once("connect", resolve))
    return { closed }
  }
  beforeEach(certify)

  test("by files, and wrong files are named", async () => {
    const host = await start({ tlsCertFile, tlsKeyFile })
    expect(host.url).toMatch(/^wss:/)
    const client = await connect(host, { rejectUnauthorized: false })
    await client.joined()
    const serialOf = async (): Promise<string> => {
      const fresh = await connect(host, { rejectUnauthorized: false })
      const tls = (fresh.socket as unknown as { _socket: { getPeerCertificate(): { serialNumber: string } } })
        ._socket
      return tls.getPeerCertificate().serialNumber
    }
    const before = await serialOf()
    certify()
    host.reloadTls()
    expect(await serialOf()).not.toBe(before)
    expect(client.socket.readyState).toBe(client.socket.OPEN)
    writeFileSync(tlsCertFile, "nonsense")
    await expect(start({ tlsCertFile, tlsKeyFile })).rejects.toThrow(/tlsCertFile/)
    await expect(start({ tlsCertFile: "/none.pem", tlsKeyFile })).rejects.toThrow(/none\.pem.*no such file/)
    await expect(start({ tlsCertFile: directory, tlsKeyFile })).rejects.toThrow(/tlsCertFile.*a directory/)
    // A renewal that went wrong half way: open and new sockets are served as before.
    expect(() => host.reloadTls()).toThrow(/tlsCertFile/)
    await (await connect(host, { rejectUnauthorized: false })).joined()
  })

  test("a handshake that does not begin is cut in time, and its place is free again", async () => {
    const host = await start({ tlsCertFile, tlsKeyFile, httpTimeoutMs: 200, addressMaxConnections: 1 })
    // As many as one address may have, including the spare ones.
    const silent = await Promise.all(Array.from({ length: 51 }, () => openSilent(host)))
    await Promise.all(silent.map(({ closed }) => closed))
    await (await connect(host, { rejectUnauthorized: false })).joined()
  })

  test("close waits for no handshake", async () => {
    const host = await start({ tlsCertFile, tlsKeyFile, httpTimeoutMs: 60_000 })
    const { closed } = await openSilent(host)
    await host.close()
    await closed
  })
})

describe("the command", () => {
  test("starts without configuration, logs no secrets, and goes on SIGTERM after everyone was told", async () => {
    const child = spawn(process.execPath, [...nodeFlags, binary, "--port", "0", "--log-level", "debug"], {
      env: { PATH: process.env["PATH"], DUNLIN_DRAIN_MS: "500" },
    })
    let log = ""
    let said = ""
    child.stdout.on("data", (chunk: Buffer) => (log += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()))
    const exited = new Promise<number | null>((resolve) => child.on("exit", resolve))
    try {
      await until(() => /ws:\/\/\S+/.test(said), "the URL is printed")
      const url = /ws:\/\/\S+/.exec(said)?.[0] ?? ""
      const topic = someTopic()
      const client = await connectClient(url, { headers: { "x-forwarded-for": "203.0.113.9" } })
      await client.joined({ topic, token: "a secret token" })
      child.kill("SIGTERM")
      await client.next("bye")
      expect((await client.closed).code).toBe(1001)
      expect(await exited).toBe(0)
      for (const line of log.trim().split("\n")) JSON.parse(line)
      expect(log).toContain("draining")
      // A proxy that the settings do not name makes all its clients look like one.
      expect(log).toContain("trustedProxies")
      for (const leak of [
        "a secret token",
        "203.0.113.9",
        Buffer.from(topic).toString("hex"),
        Buffer.from(topic).toString("base64"),
      ]) {
        expect(log).not.toContain(leak)
      }
    } finally {
      child.kill("SIGKILL")
    }
  })

  test("says what is wrong and fails", () => {
    const run = (...args: string[]): { status: number; text: string } => {
      try {
        execFileSync(process.execPath, [...nodeFlags, binary, ...args], { encoding: "utf8", stdio: "pipe" })
        return { status: 0, text: "" }
      } catch (error) {
        const failure = error as { status: number; stderr: string }
        return { status: failure.status, text: failure.stderr }
      }
    }
    expect(run("--port", "many")).toEqual({
      status: 1,
      text: expect.stringMatching(/^dunlin-host: --port: must be/),
    })
    expect(run("--nonsense")).toEqual({ status: 1, text: expect.stringContaining("--nonsense") })
  })
})

test("an upgrade is refused while a host is going", async () => {
  const host = await start({ drainMs: 2000 })
  const client = await connect(host)
  await client.joined()
  void host.drain()
  await expect(refusedUpgrade(host.url)).rejects.toThrow()
})
