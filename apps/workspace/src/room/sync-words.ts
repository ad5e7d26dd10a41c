import type { RoomStatus } from "@dunlin/core"

export interface SyncFacts {
  readonly room: { readonly type: "opening" | "open" } | { readonly type: "unavailable"; readonly reason: string }
  readonly status: RoomStatus | null
  readonly online: boolean
  readonly paused: boolean
  readonly durable: boolean
}

export interface SyncWords {
  readonly tone: "good" | "busy" | "calm" | "bad"
  /** For the side bar. */
  readonly short: string
  /** One or two sentences: what it means, and what to do if anything. */
  readonly long: string
}

/** What the state of sync means to a person. Trouble with others is calm: the data is safe on this device. */
export function describeSync({ room, status, online, paused, durable }: SyncFacts): SyncWords {
  if (!durable) {
    return say("bad", "Not saved", "This browser refuses to store data. Everything works until this tab closes; export what you want to keep.")
  }
  if (paused) return say("calm", "Sync is paused", "Changes are saved on this device and go out when you resume.")
  if (room.type === "unavailable") return say("calm", "Saved on this device", room.reason)
  const peers = status?.peers ?? 0
  if (status !== null && peers > 0) return connected(status, peers)
  if (!online) {
    return say("calm", "Offline: changes are saved on this device", "They reach your other devices when the network is back.")
  }
  if (status?.problem?.code === "no-signaling") {
    return say("calm", "Can’t find other devices, retrying", `Everything is saved on this device and works. ${sentence(status.problem.message)}`)
  }
  if (status?.problem) return say("calm", "Saved on this device", sentence(status.problem.message))
  return say("calm", "Saved on this device", "No other device is connected. Open the invite link on another one to sync with it.")
} // prettier-ignore

function connected(status: RoomStatus, peers: number): SyncWords {
  const pending = status.pendingOut + status.pendingIn
  if (pending > 0) {
    const count = `${pending} ${pending === 1 ? "change" : "changes"}`
    return say("busy", `Syncing ${count}`, `Synced with ${status.syncedPeers} of ${peers}; ${count} on the way.`)
  }
  const tone = status.syncedPeers === peers ? "good" : "busy"
  return say(
    tone,
    `Synced with ${status.syncedPeers} of ${peers}`,
    status.problem ? sentence(status.problem.message) : "Every change is on this device and on the devices listed here.",
  )
}

function say(tone: SyncWords["tone"], short: string, long: string): SyncWords {
  return { tone, short, long }
}

function sentence(text: string): string {
  const trimmed = text.trim()
  const head = trimmed.charAt(0).toUpperCase() + trimmed.slice(1)
  return /[.!?]$/.test(head) ? head : `${head}.`
}
