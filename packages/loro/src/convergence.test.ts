import fc from "fast-check"
import type { LoroDoc, TreeID } from "loro-crdt"
import { expect, test } from "vitest"

import { attachByHand, type HandDriven, pull, push } from "../test/hand-driven.ts"
import { hashContent } from "./replica/document-audit.ts"
import { memoryStore, type MemoryStore } from "./store/memory-store.ts"

const IDS = ["a", "b"]
/** Takes seconds on an idle machine; a shared one is many times slower. */
const FUZZ_TIMEOUT_MS = 600_000

type Step =
  | {
      readonly type: "edit"
      readonly peer: number
      readonly id: string
      readonly what: number
      readonly where: number
      readonly text: string
    }
  | { readonly type: "push"; readonly from: number; readonly to: number; readonly lossy: boolean }
  | { readonly type: "pull"; readonly from: number; readonly to: number; readonly id: string }
  | { readonly type: "restart"; readonly peer: number; readonly crash: boolean }

interface Peer {
  replica: HandDriven
  store: MemoryStore
}

const peers = fc.integer({ min: 0, max: 7 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("edit" as const),
      peer: peers,
      id: fc.constantFrom(...IDS),
      what: fc.integer({ min: 0, max: 12 }),
      where: fc.nat(1_000),
      text: fc.string({ unit: "grapheme", minLength: 1, maxLength: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("push" as const), from: peers, to: peers, lossy: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("pull" as const),
      from: peers,
      to: peers,
      id: fc.constantFrom(...IDS),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("restart" as const), peer: peers, crash: fc.boolean() }),
  },
)

test(
  "replicas converge whatever is edited, lost, repeated or restarted",
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 3, max: 8 }),
        fc.array(step, { minLength: 10, maxLength: 60 }),
        async (count, steps) => {
          const group = await Promise.all(Array.from({ length: count }, (_, at) => createPeer(at)))
          for (const one of steps) await run(group, one)
          await settle(group)
          for (const id of IDS) {
            const contents = await Promise.all(group.map(({ replica }) => contentOf(replica, id)))
            for (const content of contents) expect(content).toEqual(contents[0])
            const summaries = await Promise.all(
              group.map(async ({ replica }) => (await replica.attached.summarize([id]))[0]),
            )
            for (const summary of summaries) expect(summary).toEqual(summaries[0])
          }
          await Promise.all(group.map(({ replica }) => replica.attached.detach()))
        },
      ),
      { numRuns: Number(process.env["DUNLIN_FUZZ_RUNS"] ?? 40) },
    )
  },
  FUZZ_TIMEOUT_MS,
)

async function createPeer(at: number): Promise<Peer> {
  const store = memoryStore()
  return {
    store,
    replica: await attachByHand({ name: "fuzz", store, maxIdleDocuments: 1 }, `${at}${at}`.repeat(32)),
  }
}

async function run(group: Peer[], one: Step): Promise<void> {
  const at = (index: number): Peer => group[index % group.length] as Peer
  if (one.type === "edit") return edit(at(one.peer).replica, one)
  if (one.type === "restart") return restart(at(one.peer), one.crash)
  const [from, to] = [at(one.from).replica, at(one.to).replica]
  if (from === to) return
  if (one.type === "pull") await pull(to, from, one.id)
  else if (one.lossy) from.changes.splice(0, 1)
  else await push(from, to)
}

async function restart(peer: Peer, crash: boolean): Promise<void> {
  const device = peer.replica.device
  // A crash leaves what the store holds at this moment; a clean end waits for the rest.
  if (crash) peer.store = peer.store.copy()
  await peer.replica.attached.detach()
  peer.replica = await attachByHand({ name: "fuzz", store: peer.store, maxIdleDocuments: 1 }, device)
}

/** Every peer asks every other: two rounds carry everything through a group. */
async function settle(group: readonly Peer[]): Promise<void> {
  for (let round = 0; round < 2; round++) {
    for (const from of group)
      for (const to of group) if (from !== to) for (const id of IDS) await pull(to.replica, from.replica, id)
  }
}

async function edit(
  replica: HandDriven,
  { id, what, where, text }: Step & { readonly type: "edit" },
): Promise<void> {
  await using handle = await replica.docs.open(id)
  const { doc } = handle
  editDocument(doc, what, where, text)
  handle.commit()
}

function editDocument(doc: LoroDoc, what: number, where: number, text: string): void {
  const body = doc.getText("text")
  const list = doc.getList("list")
  const movable = doc.getMovableList("movable")
  const tree = doc.getTree("tree")
  const nodes = tree.getNodes().map((node) => node.id)
  const pick = <Item>(items: readonly Item[]): Item | undefined => items[where % Math.max(1, items.length)]
  switch (what) {
    case 0:
    case 1:
      return body.insert(boundary(body.toString(), where), text)
    case 2: {
      const start = boundary(body.toString(), where)
      const end = boundary(body.toString(), start + 3)
      return end > start ? body.delete(start, end - start) : undefined
    }
    case 3:
      return body.length > 0
        ? body.mark({ start: 0, end: boundary(body.toString(), body.length) }, "bold", where % 2 === 0)
        : undefined
    case 4:
      return void doc.getMap("map").set(text, where)
    case 5:
      return doc.getMap("map").delete(text)
    case 6:
      return void list.insert(where % (list.length + 1), text)
    case 7:
      return list.length > 0 ? list.delete(where % list.length, 1) : undefined
    case 8:
      return void movable.insert(where % (movable.length + 1), text)
    case 9:
      return movable.length > 0
        ? movable.move(where % movable.length, (where * 7) % movable.length)
        : undefined
    case 10:
      return void tree.createNode(pick(nodes))
    case 11: {
      const [node, parent] = [pick(nodes), nodes[(where * 3) % Math.max(1, nodes.length)]]
      return node === undefined || parent === undefined ? undefined : moveNode(doc, node, parent)
    }
    default:
      return doc.getCounter("counter").increment(where)
  }
}

function moveNode(doc: LoroDoc, node: TreeID, parent: TreeID): void {
  try {
    doc.getTree("tree").move(node, parent)
  } catch {
    // Loro refuses cycles; so does every application.
  }
}

/** Loro refuses positions inside a surrogate pair. */
function boundary(content: string, where: number): number {
  const at = Math.min(content.length, where % (content.length + 1))
  return /[\uDC00-\uDFFF]/.test(content[at] ?? "") ? at - 1 : at
}

async function contentOf(replica: HandDriven, id: string): Promise<unknown> {
  await using handle = await replica.docs.open(id)
  // Equal contents must have equal audits, or it would warn of honest documents.
  const audit = hashContent(handle.doc)
  // An empty container exists only where somebody asked for it, and is not content.
  handle.doc.setHideEmptyRootContainers(true)
  return { audit, content: handle.doc.toJSON() as unknown }
}
