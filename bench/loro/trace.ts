import { createInvite } from "@dunlin/core"
import { BUILT } from "../built.ts"
import { createHarness, type Harness } from "../../e2e/browser/harness.ts"
import type { ChildPeer } from "../../e2e/browser/harness/child-peer.ts"
import { median } from "../quantile.ts"
import { report } from "./report.ts"

type Peer = typeof import("./trace-peer.ts")

const MODULE = new URL("./trace-peer.ts", import.meta.url)

/** The real editing trace: typed at one peer while another follows, and fetched by a newcomer. */
export async function measureTrace({
  part,
  rounds,
}: {
  readonly part: number
  readonly rounds: number
}): Promise<void> {
  const alone: number[] = []
  const ours: number[] = []
  const theirs: number[] = []
  const joins: number[] = []
  const floors: number[] = []
  const joinCpu: number[] = []
  const floorCpu: number[] = []
  let aloneBytes = 0
  let ourBytes = 0
  let theirBytes = 0
  for (let round = 0; round < rounds; round++) {
    await using harness = createHarness({ callMs: 600_000, silentPings: 600 })
    const [left, right] = await openPair(harness, part)
    const floor = await left.call("loroAlone")
    alone.push(floor.ms)
    aloneBytes = floor.bytes

    const following = right.call("yFollow")
    const { begun, bytes } = await left.call("yReplay")
    theirs.push((await following).at - begun)
    theirBytes = bytes

    const host = await harness.host()
    const invite = createInvite()
    for (const peer of [left, right]) await peer.call("join", invite, host.url)
    for (const peer of [left, right]) await peer.call("waitForPeer")
    for (const peer of [left, right]) await peer.call("open", "paper")
    const before = await left.call("bytes")
    const shown = right.call("follow")
    const started = await left.call("replay")
    const { at, equal } = await shown
    if (!equal) throw new Error("the follower shows something else")
    ours.push(at - started)
    ourBytes = (await left.call("bytes")) - before

    // Only one peer holds the document, as for the floor; otherwise a second link would be made during the transfer.
    await right.call("leave")
    // A floor and a newcomer in turn, each in a fresh process.
    for (let turn = 0; turn < 3; turn++) {
      const bare = await harness.peer<Peer>(MODULE, BUILT)
      await left.call("rawRenew")
      await bare.call("rawAccept", await left.call("rawAnswer", await bare.call("rawOffer")))
      await Promise.all([left, bare].map((peer) => peer.call("rawOpen")))
      const importing = bare.call("rawImport")
      const sent = await left.call("rawSnapshot")
      const imported = await importing
      floors.push(imported.at - sent)
      floorCpu.push(imported.cpuMs)
      await bare.close()

      const newcomer = await harness.peer<Peer>(MODULE, BUILT)
      await newcomer.call("join", invite, host.url)
      const joined = await newcomer.call("waitForDocument", "paper")
      joins.push(joined.ms)
      joinCpu.push(joined.cpuMs)
      await newcomer.close()
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }
  report({
    work: `the editing trace (${part === 1 ? "all" : `${part * 100} %`} of 259,778 edits), typed at full speed while another process follows`,
    values: {
      "Loro alone, two documents in one process, s": median(alone) / 1_000,
      "Loro alone, bytes": aloneBytes,
      "Dunlin, s": median(ours) / 1_000,
      "Dunlin, bytes": ourBytes,
      "Yjs over a bare channel, s": median(theirs) / 1_000,
      "Yjs over a bare channel, bytes": theirBytes,
      "Dunlin : Loro alone": median(ours) / median(alone),
      "Dunlin : Yjs": median(ours) / median(theirs),
    },
    target: "final text equal",
    met: true,
  })
  const ratio = median(joins) / median(floors)
  report({
    work: "a newcomer gets that document (from the first sight of the peer)",
    values: {
      "Dunlin ms": median(joins),
      "raw transfer of a snapshot and Loro's import, ms": median(floors),
      ratio,
      "least of each": Math.min(...joins) / Math.min(...floors),
      "CPU of the newcomer ms": median(joinCpu),
      "CPU of who takes the raw snapshot, ms": median(floorCpu),
    },
    target: "≤ 1.3 ×",
    met: ratio <= 1.3,
  })
}

async function openPair(
  harness: Harness,
  part: number,
): Promise<readonly [ChildPeer<Peer>, ChildPeer<Peer>]> {
  const [left, right] = [await harness.peer<Peer>(MODULE, BUILT), await harness.peer<Peer>(MODULE, BUILT)]
  for (const peer of [left, right]) await peer.call("load", part)
  const answer = await right.call("rawAnswer", await left.call("rawOffer"))
  await left.call("rawAccept", answer)
  await Promise.all([left, right].map((peer) => peer.call("rawOpen")))
  return [left, right]
}
