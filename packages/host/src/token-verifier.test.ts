import { generateKeyPairSync, randomBytes } from "node:crypto"
import { SignJWT } from "jose"
import { describe, expect, test } from "vitest"
import { createTokenVerifier } from "./token-verifier.ts"

const now = 1_800_000_000_000
const nowSeconds = now / 1000
const topic = randomBytes(32)
const { publicKey, privateKey } = generateKeyPairSync("ed25519")
const pem = publicKey.export({ type: "spki", format: "pem" }).toString()
const secret = randomBytes(32)

const eddsa = createTokenVerifier({
  algorithm: "EdDSA",
  key: pem,
  audience: "dunlin",
  issuer: "https://app.example.org",
  maxLifetimeSeconds: 600,
  now: () => now,
})
const hs256 = createTokenVerifier({
  algorithm: "HS256",
  key: secret.toString("base64url"),
  audience: "dunlin",
  issuer: null,
  maxLifetimeSeconds: 600,
  now: () => now,
})

const claims = { aud: "dunlin", iss: "https://app.example.org", exp: nowSeconds + 300 }
const signEd = (payload: Record<string, unknown>): Promise<string> =>
  new SignJWT(payload).setProtectedHeader({ alg: "EdDSA" }).sign(privateKey)
const signHs = (payload: Record<string, unknown>, key: Uint8Array = secret): Promise<string> =>
  new SignJWT(payload).setProtectedHeader({ alg: "HS256" }).sign(key)

describe("tokens", () => {
  test("a good one is valid until a little after its exp", async () => {
    const verdict = await eddsa.verify(await signEd({ ...claims, sub: "ada" }), topic)
    expect(verdict).toMatchObject({ type: "valid", expiresInMs: 330_000, claims: { sub: "ada" } })
    expect((await hs256.verify(await signHs(claims), topic)).type).toBe("valid")
  })

  test("a key may be a JWK as well", async () => {
    const verifier = createTokenVerifier({
      algorithm: "EdDSA",
      key: JSON.stringify(publicKey.export({ format: "jwk" })),
      audience: "dunlin",
      issuer: null,
      maxLifetimeSeconds: 600,
      now: () => now,
    })
    expect((await verifier.verify(await signEd(claims), topic)).type).toBe("valid")
  })

  test("a topic claim binds the token to one topic", async () => {
    const token = await signEd({ ...claims, topic: topic.toString("base64url") })
    expect((await eddsa.verify(token, topic)).type).toBe("valid")
    expect((await eddsa.verify(token, randomBytes(32))).type).toBe("invalid")
    expect((await eddsa.verify(await signEd({ ...claims, topic: 5 }), topic)).type).toBe("invalid")
  })

  test.each([
    ["another audience", { aud: "other" }],
    ["another issuer", { iss: "https://evil.example" }],
    ["no expiry", { exp: undefined }],
    ["too long a life", { exp: nowSeconds + 3600 }],
    ["not yet valid", { nbf: nowSeconds + 120 }],
  ])("%s is refused", async (_name, change) => {
    const verdict = await eddsa.verify(await signEd({ ...claims, ...change }), topic)
    expect(verdict).toMatchObject({ type: "invalid", expired: false })
  })

  test("an expired one says so", async () => {
    const verdict = await eddsa.verify(await signEd({ ...claims, exp: nowSeconds - 31 }), topic)
    expect(verdict).toMatchObject({ type: "invalid", expired: true })
  })

  test("only the pinned algorithm counts, whatever the header says", async () => {
    // The classic confusion: the public key used as an HMAC secret.
    expect((await eddsa.verify(await signHs(claims, Buffer.from(pem)), topic)).type).toBe("invalid")
    expect((await hs256.verify(await signEd(claims), topic)).type).toBe("invalid")
    const none = [{ alg: "none" }, claims].map((part) =>
      Buffer.from(JSON.stringify(part)).toString("base64url"),
    )
    expect((await eddsa.verify(`${none.join(".")}.`, topic)).type).toBe("invalid")
    expect((await hs256.verify(await signHs(claims, randomBytes(32)), topic)).type).toBe("invalid")
    const sibling = await new SignJWT(claims).setProtectedHeader({ alg: "HS512" }).sign(secret)
    expect((await hs256.verify(sibling, topic)).type).toBe("invalid")
  })

  test.each(["", "x", "a.b.c", ".".repeat(100), "ey".repeat(400)])(
    "%j is refused without a fuss",
    async (token) => {
      expect((await eddsa.verify(token, topic)).type).toBe("invalid")
    },
  )

  test.each([
    ["EdDSA", "not a key"],
    ["EdDSA", "{}"],
    [
      "EdDSA",
      generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ type: "spki", format: "pem" }),
    ],
    // A private key would work, but a secret that signs would then lie on a host that only verifies.
    ["EdDSA", privateKey.export({ type: "pkcs8", format: "pem" })],
    ["EdDSA", JSON.stringify(privateKey.export({ format: "jwk" }))],
    ["HS256", Buffer.from("short").toString("base64url")],
    // Read as base64url it would lose characters, and differ from the issuer's secret.
    ["HS256", "correct horse battery staple, and then some more of it!"],
  ] as const)("%s does not start with a wrong key", (algorithm, key) => {
    const options = { audience: "dunlin", issuer: null, maxLifetimeSeconds: 600, now: () => now }
    expect(() => createTokenVerifier({ ...options, algorithm, key: String(key) })).toThrow(/jwtKey/)
  })
})
