import "fake-indexeddb/auto"
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { browserIdentity } from "./identity-browser.ts"
import { fileIdentity } from "./identity-file.ts"
import { type Identity, memoryIdentity } from "./identity.ts"
import { verify } from "./primitives.ts"

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dunlin-identity-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const path = (): string => join(folder, "deep", "device-key")
const kinds: Record<string, () => () => Identity> = {
  memory: () => {
    const identity = memoryIdentity()
    return () => identity
  },
  browser: () => {
    const name = `identity ${Math.random()}`
    return () => browserIdentity(name)
  },
  file: () => () => fileIdentity(path()),
}

for (const [kind, make] of Object.entries(kinds)) {
  describe(`an identity in ${kind}`, () => {
    test("signs as the device that its public key names, at every load", async () => {
      const again = make()
      const [first, second] = [await again().load(), await again().load()]
      expect(second.publicKey).toEqual(first.publicKey)
      const message = Uint8Array.of(1, 2, 3)
      expect(await verify(first.publicKey, await second.sign(message), message)).toBe(true)
    })

    test("is one even when several load it at once for the first time", async () => {
      const again = make()
      const keys = await Promise.all(Array.from({ length: 8 }, () => again().load()))
      expect(new Set(keys.map(({ publicKey }) => publicKey.join())).size).toBe(1)
    })
  })
}

test("the key in IndexedDB cannot be taken out", async () => {
  await browserIdentity("stored").load()
  const database = await new Promise<IDBDatabase>((resolve) => {
    const request = indexedDB.open("stored")
    request.addEventListener("success", () => resolve(request.result))
  })
  const pair = await new Promise<CryptoKeyPair>((resolve) => {
    const request = database.transaction("keys").objectStore("keys").get("device")
    request.addEventListener("success", () => resolve(request.result as CryptoKeyPair))
  })
  expect(pair.privateKey.extractable).toBe(false)
  await expect(crypto.subtle.exportKey("pkcs8", pair.privateKey)).rejects.toThrow()
})

describe("a key file", () => {
  test("is for its owner alone and leaves no drafts", async () => {
    await fileIdentity(path()).load()
    expect(statSync(path()).mode & 0o777).toBe(0o600)
    expect(readdirSync(dirname(path()))).toEqual(["device-key"])
  })

  const refusals: Record<string, [string, () => void]> = {
    "that others may read": ["exposed-key", () => chmodSync(path(), 0o644)],
    "that was cut": ["damaged-key", () => writeFileSync(path(), readFileSync(path()).subarray(0, 31))],
    "that is empty": ["damaged-key", () => writeFileSync(path(), "")],
  }
  for (const [name, [code, harm]] of Object.entries(refusals)) {
    test(`${name} is refused and left alone`, async () => {
      await fileIdentity(path()).load()
      harm()
      const before = readFileSync(path())
      await expect(fileIdentity(path()).load()).rejects.toThrow(expect.objectContaining({ code }) as Error)
      expect(readFileSync(path())).toEqual(before)
    })
  }

  test("that cannot be made says what to do", async () => {
    const blocked = join(folder, "file")
    writeFileSync(blocked, "")
    const loading = fileIdentity(join(blocked, "device-key")).load()
    await expect(loading).rejects.toThrow(expect.objectContaining({ code: "storage-failed" }) as Error)
    expect(existsSync(join(blocked, "device-key"))).toBe(false)
  })
})
