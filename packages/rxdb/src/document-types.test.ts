import type { Replica, Room } from "@dunlin/core"
import type { RxCollection, RxDocument, WithDeleted } from "rxdb"
import { expectTypeOf, test } from "vitest"
import {
  DunlinWebRTCPlugin,
  getConnectionHandlerSimplePeer,
  replicateWebRTC,
  type RxdbHandle,
  rxdbReplica,
  type SimplePeer,
  type WithSyncWebRTC,
} from "./index.ts"

interface Todo {
  readonly id: string
  title: string
}
interface TodoMethods {
  toggle(): void
}
interface TodoStatics {
  open(): number
}
type Todos = RxCollection<Todo>

// Only compiled: `npm run check` fails where a type differs.
const compiled = (_program: (...given: never[]) => unknown): void => {}

test("the type of a collection's documents reaches what a room gives", () => {
  compiled(async (room: Room, todos: Todos) => {
    const handle = await room.replicate(rxdbReplica(todos))
    expectTypeOf(handle).toEqualTypeOf<RxdbHandle<Todo>>()
    expectTypeOf(handle.collection).toEqualTypeOf<RxCollection<Todo>>()
    expectTypeOf(await handle.collection.findOne("1").exec()).toEqualTypeOf<RxDocument<Todo> | null>()
    handle.conflicts$.subscribe(({ merged, writes }) => {
      expectTypeOf(merged).toEqualTypeOf<WithDeleted<Todo>>()
      expectTypeOf(writes[0]?.document).toEqualTypeOf<WithDeleted<Todo> | undefined>()
    })
    expectTypeOf(handle.recentConflicts()[0]?.merged.title).toEqualTypeOf<string | undefined>()
    handle.traffic$.subscribe(({ documents }) =>
      expectTypeOf(documents).toEqualTypeOf<readonly WithDeleted<Todo>[]>(),
    )
  })
})

test("modifiers have the type of the documents, inferred or spelled out", () => {
  compiled((todos: Todos) => {
    rxdbReplica(todos, {
      push: {
        modifier: (document) => {
          expectTypeOf(document).toEqualTypeOf<WithDeleted<Todo>>()
          return { ...document, title: document.title.trim() }
        },
      },
      pull: { modifier: (document: WithDeleted<Todo>) => document },
    })
    // @ts-expect-error A todo has no such field.
    rxdbReplica(todos, { push: { modifier: (document) => document.colour } })
    // @ts-expect-error A modifier of other documents.
    rxdbReplica(todos, { pull: { modifier: (document: { readonly colour: string }) => document } })
  })
})

test("methods, and functions that are generic themselves, do not get in the way", () => {
  compiled((todos: RxCollection<Todo, TodoMethods, TodoStatics>, any: RxCollection) => {
    expectTypeOf(rxdbReplica(todos)).toEqualTypeOf<Replica<RxdbHandle<Todo>>>()
    rxdbReplica(any, { push: { modifier: (document: WithDeleted<Todo>) => document.title } })
  })
  compiled(<Row>(rows: RxCollection<Row>): Replica<RxdbHandle<Row>> => rxdbReplica(rows))
})

test("the drop-in infers what RxDB's function has to be told", () => {
  compiled(async (todos: RxCollection<Todo, TodoMethods>) => {
    const connectionHandlerCreator = getConnectionHandlerSimplePeer("wss://signal.example.org")
    const pool = await replicateWebRTC({
      collection: todos,
      topic: "a topic",
      connectionHandlerCreator,
      isPeerValid: (peer) => {
        expectTypeOf(peer).toEqualTypeOf<SimplePeer>()
        return peer.device !== ""
      },
      push: { modifier: (document) => document.title },
    })
    expectTypeOf(pool.handle()).toEqualTypeOf<RxdbHandle<Todo> | null>()
    for (const [peer, { replicationState }] of pool.peerStates$.getValue()) {
      expectTypeOf(peer).toEqualTypeOf<SimplePeer>()
      replicationState.received$.subscribe(({ title }) => expectTypeOf(title).toEqualTypeOf<string>())
      replicationState.sent$.subscribe(({ title }) => expectTypeOf(title).toEqualTypeOf<string>())
    }
    pool.error$.subscribe(({ code, reason }) => {
      expectTypeOf(code).toEqualTypeOf<"RC_WEBRTC_PEER">()
      expectTypeOf(reason).toEqualTypeOf<"peer" | "transport">()
    })
  })
  compiled(async (todos: WithSyncWebRTC<Todos>) => {
    const pool = await todos.syncWebRTC({
      topic: "a topic",
      connectionHandlerCreator: getConnectionHandlerSimplePeer("wss://signal.example.org"),
      pull: {},
    })
    expectTypeOf(pool.handle()).toEqualTypeOf<RxdbHandle<Todo> | null>()
  })
  expectTypeOf(DunlinWebRTCPlugin.name).toEqualTypeOf<string>()
})
