import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as theirs from "rxdb/plugins/replication-webrtc"
import type { RxReplicationState } from "rxdb/plugins/replication"
import { expect, expectTypeOf, test } from "vitest"
import * as ours from "../index.ts"

/** The names that the installed RxDB plugin declares. */
function declaredNames(): readonly string[] {
  const entry = fileURLToPath(import.meta.resolve("rxdb/plugins/replication-webrtc"))
  const folder = join(entry.slice(0, entry.indexOf("/dist/")), "dist/types/plugins/replication-webrtc")
  return readdirSync(folder).flatMap((file) =>
    [
      ...readFileSync(join(folder, file), "utf8").matchAll(
        /^export (?:declare )?(?:const|function|class|type|interface) (\w+)/gm,
      ),
    ].map(([, name = ""]) => name),
  )
}

const NUMBERS = Object.entries(theirs).filter(([, value]) => typeof value === "number")

test("every name that RxDB's plugin exports is exported here", () => {
  const read = (file: string): string => readFileSync(new URL(file, import.meta.url), "utf8")
  const listed = [...read("../index.ts").matchAll(/^export (?:type )?\{([^}]+)\}/gm)]
  const declared = [...read("./unsupported.ts").matchAll(/^export (?:const|function|type|interface) (\w+)/gm)]
  const exported = new Set([
    ...listed.flatMap(([, names = ""]) => names.split(",").map((name) => name.trim().replace(/^type /, ""))),
    ...declared.map(([, name]) => name),
  ])
  const names = declaredNames()
  expect(names.length).toBeGreaterThan(40)
  expect(names.filter((name) => !exported.has(name))).toEqual([])
  expect(Object.keys(theirs).filter((name) => !(name in ours))).toEqual([])
})

test("its numbers are the same", () => {
  expect(NUMBERS.length).toBeGreaterThan(10)
  expect(ours).toMatchObject(Object.fromEntries(NUMBERS))
})

interface Row {
  id: string
}
type Absent<Theirs, Ours> = Exclude<keyof Theirs, keyof Ours>
type Checkpoint = ours.WebRTCReplicationCheckpoint

test("every member of its objects and options has its place here", () => {
  expectTypeOf<
    Absent<theirs.RxWebRTCReplicationPool<Row, object>, ours.RxWebRTCReplicationPool<Row, object>>
  >().toEqualTypeOf<never>()
  expectTypeOf<
    Absent<theirs.WebRTCPeerState<Row, object>, ours.WebRTCPeerState<Row, object>>
  >().toEqualTypeOf<never>()
  expectTypeOf<
    Absent<RxReplicationState<Row, Checkpoint>, ours.RxWebRTCReplicationState<Row>>
  >().toEqualTypeOf<never>()
  expectTypeOf<
    Absent<theirs.SyncOptionsWebRTC<Row, object>, ours.SyncOptionsWebRTC<Row, object>>
  >().toEqualTypeOf<never>()
  expectTypeOf<
    Absent<theirs.SimplePeerConnectionHandlerOptions, ours.SimplePeerConnectionHandlerOptions>
  >().toEqualTypeOf<never>()
  expectTypeOf<theirs.WebRTCSyncPullOptions<Row>>().toEqualTypeOf<ours.WebRTCSyncPullOptions<Row>>()
  expectTypeOf<theirs.WebRTCSyncPushOptions<Row>>().toEqualTypeOf<ours.WebRTCSyncPushOptions<Row>>()
  expectTypeOf<theirs.WebRTCConnectionHandlerCreator<string>>().toExtend<
    ours.WebRTCConnectionHandlerCreator<string>
  >()
})
