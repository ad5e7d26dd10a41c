import { createState, type State } from "@dunlin/core"
import { cutText } from "../data/cut-text.ts"
import { deviceName } from "./namespace.ts"
import { randomId } from "./random-id.ts"
import { smallStore } from "./small-store.ts"

/** How the person at this device is shown to others. Chosen freely, never authenticated. */
export interface Profile {
  readonly name: string
  /** Index into the eight colours of people. */
  readonly hue: number
}

export const HUES = 8
/** The colour of each hue as sent to peers, readable on both light and dark paper. */
export const HUE_COLORS: readonly string[] = [
  "#b05f34", "#287c85", "#7563c0", "#377d44", "#b8487d", "#3f77bb", "#946f12", "#75726a",
] // prettier-ignore
const MAX_NAME = 40
/** Who is at the two devices of the split screen. */
const DEMO_PEOPLE: ReadonlyMap<string, Profile> = new Map([
  ["a", { name: "Ada", hue: 1 }],
  ["b", { name: "Ben", hue: 0 }],
])
/** With fewer of them, two people of a small group would often have the same name. */
const BIRDS = [
  "Albatross", "Auklet", "Avocet", "Bittern", "Bunting", "Buzzard", "Chough", "Coot", "Cormorant", "Crake",
  "Crane", "Curlew", "Dipper", "Dotterel", "Egret", "Eider", "Falcon", "Fieldfare", "Finch", "Fulmar",
  "Gadwall", "Gannet", "Godwit", "Goshawk", "Grebe", "Guillemot", "Harrier", "Heron", "Hobby", "Hoopoe",
  "Ibis", "Jacana", "Jackdaw", "Jay", "Kestrel", "Kingfisher", "Kite", "Kittiwake", "Knot", "Lapwing",
  "Lark", "Linnet", "Martin", "Merlin", "Nightjar", "Nuthatch", "Oriole", "Osprey", "Ouzel", "Owl",
  "Petrel", "Pintail", "Pipit", "Plover", "Pochard", "Puffin", "Quail", "Rail", "Raven", "Redstart",
  "Robin", "Ruff", "Sanderling", "Scoter", "Shelduck", "Siskin", "Skua", "Snipe", "Starling", "Stork",
  "Swift", "Teal", "Tern", "Thrush", "Turnstone", "Wagtail", "Whimbrel", "Wigeon", "Woodcock", "Wren",
] // prettier-ignore

const state = createState<Profile>(loadProfile())

export const profile: State<Profile> = state

/** Identifies this browser among the authors of edits: random, kept, and not secret. */
export const authorId: string = loadAuthorId()

export function saveProfile(next: Profile): void {
  const clean = { name: cleanName(next.name) || state.get().name, hue: cleanHue(next.hue) }
  smallStore.write("profile", JSON.stringify(clean))
  state.set(clean)
}

/** Names come from strangers: they are kept short, in one line, without characters that reorder or hide text. */
export function cleanName(value: unknown): string {
  if (typeof value !== "string") return ""
  const line = value
    .slice(0, 400)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ")
    .replaceAll(/\s+/g, " ")
    .trim()
  return cutText(line, MAX_NAME)
}

export function cleanHue(value: unknown): number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 ? value % HUES : 0
}

function loadAuthorId(): string {
  const saved = smallStore.read("author")
  if (saved !== null && /^[a-z0-9]{10}$/.test(saved)) return saved
  const fresh = randomId(10)
  smallStore.write("author", fresh)
  return fresh
}

function loadProfile(): Profile {
  const saved = parseProfile(smallStore.read("profile"))
  if (saved !== null) return saved
  const played = DEMO_PEOPLE.get(deviceName)
  if (played !== undefined) return played
  const seed = Number.parseInt(randomId(6), 36)
  const fresh = { name: BIRDS[seed % BIRDS.length] ?? "Dunlin", hue: Math.floor(seed / 31) % HUES }
  smallStore.write("profile", JSON.stringify(fresh))
  return fresh
}

function parseProfile(text: string | null): Profile | null {
  try {
    const value = JSON.parse(text ?? "null") as { name?: unknown; hue?: unknown } | null
    const name = cleanName(value?.name)
    return name === "" ? null : { name, hue: cleanHue(value?.hue) }
  } catch {
    return null
  }
}
