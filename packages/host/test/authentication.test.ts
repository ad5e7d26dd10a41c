import { generateKeyPairSync, randomBytes } from "node:crypto"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SignJWT } from "jose"
import { describe, expect, test } from "vitest"
import { passingErrors } from "@dunlin/core/signaling"
import type { JoinRequest } from "@dunlin/host"
import { metric, useHosts } from "./host-fixture.ts"
import { pause, someTopic, until } from "./signaling-client.ts"

const { start, connect } = useHosts()
const { publicKey, privateKey } = generateKeyPairSync("ed25519")
const jwtKey = publicKey.export({ type: "spki", format: "pem" }).toString()
const secret = randomBytes(32)

const token = (lifetimeSeconds: number, claims: Record<string, unknown> = {}): Promise<string> =>
  new SignJWT(claims)
    .setProtectedHeader({ alg: "EdDSA" })
    .setAudience("dunlin")
    .setExpirationTime(Math.floor(Date.now() / 1000) + lifetimeSeconds)
    .sign(privateKey)

describe("with JWT", () => {
  test("a join needs a good token, in the frame", async () => {
    const host = await start({ jwtAlgorithm: "EdDSA", jwtKey })
    const client = await connect(host)
    const topic = someTopic()
    expect(await client.join({ channel: 1, topic })).toMatchObject({ code: "unauthorized" })
    expect(await client.join({ channel: 2, topic, token: "e30.e30.e30" })).toMatchObject({
      code: "unauthorized",
    })
    const other = await token(60, { topic: someTopic().toString() })
    expect(await client.join({ channel: 3, topic, token: other })).toMatchObject({ code: "unauthorized" })
    expect(await client.join({ channel: 4, topic, token: await token(-60) })).toMatchObject({
      code: "token-expired",
    })
    expect(await client.join({ channel: 5, topic, token: await token(3600) })).toMatchObject({
      code: "unauthorized",
    })
    const bound = await token(60, { topic: Buffer.from(topic).toString("base64url") })
    const joined = await client.joined({ channel: 6, topic, token: bound })
    expect(joined.tokenExpiresInMs).toBeGreaterThan(60_000)
    expect(await metric(host, "dunlin_auth_failures_total")).toBe(5)
    expect(host.stats().members).toBe(1)
  })

  test("HS256 works with a secret from a file", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "dunlin-")), "secret")
    writeFileSync(file, `${secret.toString("base64url")}\n`)
    const host = await start({ jwtAlgorithm: "HS256", jwtKeyFile: file })
    const client = await connect(host)
    const signed = await new SignJWT({})
      .setProtectedHeader({ alg: "HS256" })
      .setAudience("dunlin")
      .setExpirationTime("5m")
      .sign(secret)
    expect(await client.join({ channel: 1, token: signed })).toMatchObject({ type: "joined" })
    expect(await client.join({ channel: 2, token: await token(60) })).toMatchObject({ code: "unauthorized" })
  })

  test("a token that runs out ends the membership, unless it is renewed", async () => {
    const host = await start({ jwtAlgorithm: "EdDSA", jwtKey })
    const topic = someTopic()
    const [lapsing, renewing] = [await connect(host), await connect(host)]
    // The clock tolerance keeps a token valid for 30 s beyond its `exp`.
    await lapsing.joined({ topic, token: await token(-27) })
    await renewing.joined({ topic, token: await token(-27) })
    renewing.send({ type: "renew", channel: 1, token: "nonsense" })
    expect(await renewing.next("error")).toMatchObject({ channel: 1, code: "unauthorized" })
    renewing.send({ type: "renew", channel: 1, token: await token(300) })
    expect((await renewing.next("renewed")).tokenExpiresInMs).toBeGreaterThan(300_000)
    expect(await lapsing.next("error")).toMatchObject({ channel: 1, code: "token-expired" })
    await pause(1500)
    expect(renewing.unread.map(({ type }) => type)).not.toContain("error")
    expect(host.stats().members).toBe(1)
    lapsing.send({ type: "signal", channel: 1, to: renewing.peer, blob: new Uint8Array(1) })
    expect(await lapsing.next("error")).toMatchObject({ code: "not-joined" })
  })
})

describe("with a rule of one's own", () => {
  test("it sees the join, and its answer counts", async () => {
    const seen: JoinRequest[] = []
    const host = await start({
      jwtAlgorithm: "EdDSA",
      jwtKey,
      authorizeJoin: async (request) => {
        seen.push(request)
        await pause(20)
        return request.claims?.["sub"] === "ada"
      },
    })
    const client = await connect(host, { origin: "https://app.example.org" })
    const topic = someTopic()
    const good = await token(60, { sub: "ada" })
    expect(await client.join({ channel: 1, topic, token: good })).toMatchObject({ type: "joined" })
    expect(await client.join({ channel: 2, token: await token(60, { sub: "eve" }) })).toMatchObject({
      code: "forbidden",
    })
    expect(seen[0]).toMatchObject({ origin: "https://app.example.org", address: "127.0.0.1", token: good })
    expect(Buffer.from(seen[0]?.topic ?? []).equals(topic)).toBe(true)
    expect(Buffer.from(seen[0]?.peer ?? []).equals(client.peer)).toBe(true)
  })

  test("an answer can be for a while, and is asked for again", async () => {
    let allowed = true
    const host = await start({ authorizeJoin: () => (allowed ? { allow: true, expiresInMs: 1500 } : false) })
    const client = await connect(host)
    expect((await client.joined()).tokenExpiresInMs).toBeGreaterThan(1000)
    client.send({ type: "renew", channel: 1, token: "" })
    await client.next("renewed")
    allowed = false
    client.send({ type: "renew", channel: 1, token: "" })
    expect(await client.next("error")).toMatchObject({ channel: 1, code: "forbidden" })
    expect(host.stats().members).toBe(0)
  })

  test("an answer can be for longer than the protocol can say", async () => {
    const host = await start({ authorizeJoin: () => ({ allow: true, expiresInMs: 2 ** 32 + 60_000 }) })
    expect((await (await connect(host)).joined()).tokenExpiresInMs).toBe(2 ** 32 - 1)
  })

  test.each<[string, () => boolean | Promise<boolean>]>([
    [
      "throws",
      () => {
        throw new Error("database down")
      },
    ],
    ["rejects", () => Promise.reject(new Error("database down"))],
    ["never answers", () => new Promise<boolean>(() => {})],
  ])("a rule that %s refuses with a word, and the host goes on", async (_name, authorizeJoin) => {
    const host = await start({ authorizeJoin, authorizeTimeoutMs: 200 })
    const client = await connect(host)
    expect(await client.join()).toMatchObject({ code: "internal" })
    expect(client.socket.readyState).toBe(client.socket.OPEN)
  })

  // Answers that a rule in plain JavaScript may give, and that must not be taken for a yes.
  test.each<[string, unknown]>([
    ["{ allow: false }", { allow: false }],
    ["{ allow: false } for a while", { allow: false, expiresInMs: 60_000 }],
    ["{ allow: true } without an end", { allow: true }],
    ["an end that is no number", { allow: true, expiresInMs: Number.NaN }],
    ["nothing", undefined],
    ["null", null],
    ["a text", "yes"],
    ["a number", 1],
  ])("a rule that answers %s lets nobody in", async (_name, answer) => {
    const host = await start({ authorizeJoin: () => answer as boolean })
    const client = await connect(host)
    expect((await client.join()).type).toBe("error")
    expect(host.stats().members).toBe(0)
  })

  test("a rule that is out of time is told so", async () => {
    let told = false
    const host = await start({
      authorizeTimeoutMs: 200,
      authorizeJoin: ({ signal }) => {
        signal.addEventListener("abort", () => (told = true))
        return new Promise<boolean>(() => {})
      },
    })
    expect(await (await connect(host)).join()).toMatchObject({ code: "internal" })
    expect(told).toBe(true)
  })

  test("two renewals at once do not look like the end of the membership", async () => {
    const host = await start({ authorizeJoin: () => pause(50).then(() => true) })
    const client = await connect(host)
    await client.joined()
    client.send({ type: "renew", channel: 1, token: "" })
    client.send({ type: "renew", channel: 1, token: "" })
    await client.next("renewed")
    const [error] = client.unread.filter((message) => message.type === "error")
    expect(passingErrors.has(error?.code ?? "rate-limited")).toBe(true)
    expect(host.stats().members).toBe(1)
  })

  test("who leaves or goes while the rule decides is not let in afterwards", async () => {
    const aborted: boolean[] = []
    const release: (() => void)[] = []
    const host = await start({
      authorizeJoin: ({ signal }) => {
        signal.addEventListener("abort", () => aborted.push(true))
        return new Promise((resolve) => release.push(() => resolve(true)))
      },
    })
    const [leaving, breaking] = [await connect(host), await connect(host)]
    void leaving.join().catch(() => {})
    void breaking.join().catch(() => {})
    await until(() => release.length === 2, "both are being decided")
    leaving.send({ type: "leave", channel: 1 })
    await leaving.next("left")
    breaking.socket.terminate()
    await until(() => aborted.length === 2, "both decisions were called off")
    for (const decide of release) decide()
    await pause(100)
    expect(host.stats()).toMatchObject({ members: 0, topics: 0 })
  })

  test("a rule is not asked for more at once than a socket may join, however often that leaves again", async () => {
    let asked = 0
    const host = await start({
      socketMaxTopics: 3,
      authorizeJoin: () => {
        asked += 1
        return new Promise<boolean>(() => {})
      },
    })
    const client = await connect(host)
    for (let channel = 1; channel <= 20; channel++) {
      void client.join({ channel, topic: someTopic() }).catch(() => {})
      client.send({ type: "leave", channel })
      await client.next("left")
    }
    expect(asked).toBe(3)
  })

  test("the same topic cannot be joined twice while the first is being decided", async () => {
    const host = await start({ authorizeJoin: () => pause(100).then(() => true) })
    const client = await connect(host)
    const topic = someTopic()
    void client.join({ channel: 1, topic }).catch(() => {})
    void client.join({ channel: 2, topic, peer: randomBytes(16) }).catch(() => {})
    expect((await client.closed).code).toBe(4400)
    await until(() => host.stats().members === 0, "nothing is left")
  })
})
