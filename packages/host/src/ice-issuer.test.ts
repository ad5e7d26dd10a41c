import { createHmac } from "node:crypto"
import { createSeededRandom, createSimulatedTime } from "@dunlin/core/testing"
import { expect, test } from "vitest"
import { createIceIssuer } from "./ice-issuer.ts"

const options = {
  stunUrls: ["stun:stun.example.org:3478"],
  turnUrls: ["turn:turn.example.org:3478"],
  turnSecret: "a shared secret",
  turnTtlSeconds: 3600,
  clock: createSimulatedTime().clock(),
  random: createSeededRandom(1),
}

test("credentials are a time and its signature, and never the same twice", () => {
  const issuer = createIceIssuer(options)
  const [stun, turn] = issuer.issue().servers
  expect(stun).toEqual({ urls: ["stun:stun.example.org:3478"], username: "", credential: "" })
  const expiry = Math.floor(options.clock.now() / 1000) + 3600
  expect(turn?.username).toMatch(new RegExp(`^${expiry}:[0-9a-f]{16}$`))
  const expected = createHmac("sha1", "a shared secret")
    .update(turn?.username ?? "")
    .digest("base64")
  expect(turn?.credential).toBe(expected)
  expect(issuer.issue().servers[1]?.username).not.toBe(turn?.username)
  expect(issuer.issue().expiresInMs).toBe(3_600_000)
})

test("without TURN nothing expires", () => {
  const issuer = createIceIssuer({ ...options, turnUrls: [] })
  expect(issuer.ttlMs).toBeNull()
  expect(issuer.issue()).toEqual({
    servers: [{ urls: ["stun:stun.example.org:3478"], username: "", credential: "" }],
    expiresInMs: 0,
  })
  expect(createIceIssuer({ ...options, turnUrls: [], stunUrls: [] }).issue().servers).toEqual([])
})
