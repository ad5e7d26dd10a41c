import { decodeHostMessage } from "@dunlin/core/signaling"
import { expect, test } from "vitest"
import { bytesOfKey, keyOfBytes } from "./binary-key.ts"
import { mergeChanges, type PresenceChanges, presenceFrames } from "./presence-changes.ts"

const peer = (index: number): string =>
  keyOfBytes(new Uint8Array(16).fill(index % 256).fill(index / 256, 0, 1))

test("keys and bytes are the same thing, for every byte", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
  expect(new Uint8Array(bytesOfKey(keyOfBytes(bytes)))).toEqual(bytes)
})

test("changes fit into frames however many they are, without the reader itself", () => {
  const changes: PresenceChanges = new Map()
  for (let index = 0; index < 600; index++) changes.set(peer(index), index < 300 ? "joined" : "left")
  const messages = presenceFrames(changes, 7, peer(5)).map(decodeHostMessage)
  expect(messages).toHaveLength(2)
  const joined = messages.flatMap((message) => (message.type === "presence" ? message.joined : []))
  const left = messages.flatMap((message) => (message.type === "presence" ? message.left : []))
  expect(joined).toHaveLength(299)
  expect(left).toHaveLength(300)
  expect(presenceFrames(new Map([[peer(1), "joined"]]), 7, peer(1))).toEqual([])
})

test("the later change wins", () => {
  const held: PresenceChanges = new Map([["a", "joined"]])
  mergeChanges(
    held,
    new Map([
      ["a", "left"],
      ["b", "left"],
    ]),
  )
  mergeChanges(held, new Map([["b", "joined"]]))
  expect([...held]).toEqual([
    ["a", "left"],
    ["b", "joined"],
  ])
})
