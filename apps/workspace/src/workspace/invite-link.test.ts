import { describe, expect, it } from "vitest"
import { inviteInHash, readInvite } from "./invite-link.ts"

const bytes = (version: number, suite: number, length = 55): string => {
  const numbers = Array.from({ length: length - 2 }, (_, index) => index)
  // The last byte is the number of servers that follow.
  return Buffer.from([version, suite, ...numbers.slice(0, -1), 0]).toString("base64url")
}

describe("invites in the address", () => {
  it("tells an invite from a route", () => {
    expect(inviteInHash("")).toBeNull()
    expect(inviteInHash("#/board")).toBeNull()
    expect(inviteInHash("#AQEabc")).toBe("AQEabc")
  })

  it("names the workspace by its room id", () => {
    expect(readInvite(`https://example.org/#${bytes(1, 1)}`)).toMatchObject({
      type: "invite",
      workspaceId: "000102030405060708090a0b0c0d0e0f",
    })
  })

  it("finds the invite in what was copied with it", () => {
    const invite = bytes(1, 1)
    const link = `https://example.org/#${invite}`
    const [head, tail] = [link.slice(0, 60), link.slice(60)]
    for (const text of [
      `<${link}>`,
      `(${link}).`,
      `Join me: ${link} see you`,
      `${head}\n${tail}\n`,
      `Join me: ${link}\nIt is about ticket #42`,
      `#welcome #team ${link}`,
      ` ${link} `,
    ])
      expect(readInvite(text), text).toMatchObject({ type: "invite", invite })
  })

  it("knows damaged links from newer ones", () => {
    expect(readInvite(bytes(1, 1, 20))).toEqual({ type: "damaged" })
    expect(readInvite("not an invite!")).toEqual({ type: "damaged" })
    for (const text of ["nonsense", "hello", "https://example.org/#top", bytes(2, 1, 40)])
      expect(readInvite(text), text).toEqual({ type: "damaged" })
    expect(readInvite("")).toEqual({ type: "damaged" })
    expect(readInvite("A".repeat(10_000))).toEqual({ type: "damaged" })
    expect(readInvite(bytes(2, 1))).toEqual({ type: "too-new" })
    expect(readInvite(bytes(1, 9))).toEqual({ type: "too-new" })
  })
})
