import { createInvite, memoryIdentity, openRoom } from "@dunlin/core"
import type { Room } from "@dunlin/core"
import { createMemoryReplica } from "@dunlin/core/testing"
import type { MemoryCollection } from "@dunlin/core/testing"
import { webrtc } from "@dunlin/core/webrtc"
import type { WebRtcOptions } from "@dunlin/core/webrtc"

export interface JoinRequest {
  readonly invite: string
  readonly signaling: string
  readonly iceServers: readonly { urls: string; username?: string; credential?: string }[]
}

/** One member of the room under test, in a Node process or in a page. */
export interface FlockMember {
  /** Leaves its present room, if any, and joins another without data. */
  join(request: JoinRequest): Promise<void>
  write(keys: readonly string[]): Promise<void>
  /** Every key with its author, sorted: equal text means equal data. */
  contents(): string
  /** Paths of the peers it is linked to. */
  paths(): readonly string[]
  /** Its latest diagnostics, to explain a failure. */
  story(): readonly string[]
  leave(): Promise<void>
}

export function createFlockMember(name: string, wrtc?: NonNullable<WebRtcOptions["wrtc"]>): FlockMember {
  let room: Room | null = null
  let things: MemoryCollection | null = null

  const leave = async (): Promise<void> => {
    await room?.close()
    room = null
    things = null
  }
  return {
    async join({ invite, signaling, iceServers }) {
      await leave()
      const transport = webrtc({ signaling, iceServers, ...(wrtc === undefined ? {} : { wrtc }) })
      room = await openRoom({ invite, identity: memoryIdentity(), transports: [transport] })
      things = await room.replicate(createMemoryReplica({ name: "things" }))
    },
    async write(keys) {
      for (const key of keys) await things?.set(key, { by: name })
    },
    contents: () =>
      [...(things?.keys ?? [])]
        .toSorted()
        .map((key) => `${key}=${JSON.stringify(things?.get(key))}`)
        .join(" "),
    paths: () => room?.peers.get().map(({ path }) => path) ?? [],
    story: () => (room?.diagnostics.recent() ?? []).slice(-30).map((one) => JSON.stringify(one)),
    leave,
  }
}

export function newInvite(): string {
  return createInvite()
}
