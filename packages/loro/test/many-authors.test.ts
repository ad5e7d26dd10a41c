import { LoroDoc, type PeerID } from "loro-crdt"
import { afterEach, beforeAll, describe, expect, test } from "vitest"

import { encodeDelta } from "../src/replica/document-delta.ts"
import { encodeRow, readRow } from "../src/replica/document-row.ts"
import { refuseAuthors } from "../src/replica/update-check.ts"
import { takeVersion } from "../src/replica/version.ts"
import { memoryStore } from "../src/store/memory-store.ts"
import { attachByHand, type HandDriven, pull } from "./hand-driven.ts"
import { readFrom, writeTo } from "./tamper.ts"

const STRANGER = { session: "ee".repeat(16), device: "ee".repeat(32) }

const attached: HandDriven[] = []
afterEach(async () => {
  for (const one of attached.splice(0)) await one.attached.detach()
})

async function attach(store = memoryStore(), device?: string): Promise<HandDriven> {
  const one = await attachByHand({ name: "notes", store }, device)
  attached.push(one)
  return one
}

let crowd: LoroDoc

/** One more than a version may list. */
beforeAll(() => {
  crowd = new LoroDoc()
  for (let peer = 1; peer <= 16_385; peer++) {
    crowd.setPeerId(`${peer}` as PeerID)
    crowd.getMap("crowd").set("last", peer)
    crowd.commit()
  }
}, 120_000)

describe("more authors than a version may list", () => {
  test.each(["push", "update", "snapshot"] as const)("are not taken from a peer by a %s", async (type) => {
    const a = await attach()
    if (type !== "snapshot") await writeTo(a, "x", "mine")
    const update = crowd.export({ mode: "update" })
    const version = new Map([...takeVersion(crowd.oplogVersion())].slice(0, 100))
    const delta =
      type === "push"
        ? encodeDelta({ type, update })
        : type === "update"
          ? encodeDelta({ type, version, update })
          : encodeDelta({ type, version, snapshot: crowd.export({ mode: "snapshot" }) })
    expect(await a.attached.join([{ key: "x", delta }], STRANGER)).toMatchObject([{ type: "refused" }])
    await writeTo(a, "x", " more")
    const b = await attach(memoryStore(), "cd".repeat(32))
    expect(await pull(b, a, "x")).toBe(true)
    expect(await readFrom(b, "x")).toBe(type === "snapshot" ? " more" : "mine more")
  })

  test("are not taken from a file", async () => {
    const a = await attach()
    await expect(a.docs.import("x", crowd.export({ mode: "snapshot" }))).rejects.toMatchObject({
      code: "too-large",
    })
  })

  test("of this device alone leave its row readable", () => {
    const version = takeVersion(crowd.oplogVersion())
    const sizes = { snapshotBytes: 1, logBytes: 0, logCount: 0, logNext: 0, changedAt: 0 }
    const row = { status: "live", hash: new Uint8Array(32), version, ...sizes } as const
    expect(readRow(encodeRow(row))).toEqual(row)
  })

  test("are no reason to refuse what adds none", () => {
    const held = takeVersion(crowd.oplogVersion())
    expect(refuseAuthors(held, new Map([["1", 9]]))).toBeNull()
    expect(refuseAuthors(held, new Map([["99999", 9]]))).toContain("16386 authors")
  })
})
