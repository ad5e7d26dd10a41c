import type { RoomProblem } from "@dunlin/core"

export interface SyncFacts {
  readonly room:
    | { readonly type: "opening" | "open" }
    | { readonly type: "unavailable"; readonly reason: string }
  /** One entry per connected device. */
  readonly others: readonly { readonly pending: number; readonly isSynced: boolean }[]
  readonly problem: RoomProblem | null
  readonly online: boolean
  readonly paused: boolean
  readonly durable: boolean
  readonly isStorageFull: boolean
}

export interface SyncWords {
  readonly tone: "good" | "busy" | "calm" | "bad"
  /** For the side bar. */
  readonly short: string
  /** One or two sentences: what it means, and what to do if anything. */
  readonly long: string
}

/** What the state of sync means to a person. Trouble with others is told calmly: the data is safe on this device. */
export function describeSync({ room, others, problem, online, paused, durable, isStorageFull }: SyncFacts): SyncWords {
  if (!durable) {
    return say("bad", "Not saved", "This browser refuses to store data. Everything works until this tab closes; export what you want to keep.")
  }
  if (isStorageFull) return say("bad", "Not saved", "The storage of this device is full. Free some space; what you wrote is saved as soon as there is room.")
  if (paused) return say("calm", "Sync is paused", "Changes are saved on this device and go out when you resume.")
  if (room.type === "unavailable") return say("calm", "Saved on this device", room.reason)
  if (others.length > 0) return connected(others, problem)
  if (!online) {
    return say("calm", "Offline: changes are saved on this device", "They reach your other devices when the network is back.")
  }
  if (problem?.code === "no-signaling") {
    return say("calm", "Can’t find other devices, retrying", `Everything is saved on this device and works. ${PROBLEMS[problem.code]}`)
  }
  return say("calm", "Saved on this device", PROBLEMS[problem?.code ?? "no-peers"])
} // prettier-ignore

/** A problem's own message names servers and protocols; the screen says what the problem means. */
const PROBLEMS = {
  "no-signaling": "The server that lets devices find each other does not answer; this device keeps trying.",
  "no-peers": "No other device is connected. Open the invite link on another one to sync with it.",
  "room-full": "The other devices have no connection left for this one. This device keeps trying.",
  "connection-failed": "Another device was found, but the network lets no connection through. This device keeps trying.",
  refused: "A server or another device turned this one away. This device keeps trying.",
  incompatible: "Another device has another version of this app. Reload the page on both to update; nothing is lost.",
} as const satisfies Readonly<Record<RoomProblem["code"], string>> // prettier-ignore

function connected(others: SyncFacts["others"], problem: RoomProblem | null): SyncWords {
  const synced = others.filter(({ isSynced }) => isSynced).length
  const pending = others.reduce((most, one) => Math.max(most, one.pending), 0)
  const all = `${others.length} ${others.length === 1 ? "device" : "devices"}`
  const ratio = synced === others.length ? `Synced with ${all}` : `Synced with ${synced} of ${all}`
  if (pending > 0) {
    const count = `${pending} ${pending === 1 ? "change" : "changes"}`
    return say("busy", `Syncing ${count}`, `${ratio}. ${count} on the way.`)
  }
  const isAll = synced === others.length
  const calm = isAll
    ? "Every change is on this device and on the devices listed here."
    : "The others get what they are missing as soon as they can."
  return say(isAll ? "good" : "busy", ratio, problem ? PROBLEMS[problem.code] : calm)
}

function say(tone: SyncWords["tone"], short: string, long: string): SyncWords {
  return { tone, short, long }
}
