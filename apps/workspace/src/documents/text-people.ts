import { DUNLIN_ORIGIN } from "@dunlin/loro"
import type { LoroDoc } from "loro-crdt"
import { cleanHue, cleanName, type Profile } from "../device/profile.ts"

/** Map of a document that says who sits at which device, so that its history can name those who are not here. */
const PEOPLE = "people"
/** Kept with such a note: it ends no step of the history. */
export const NOTE_MESSAGE = "note"
/** Nobody's device: it is in no room. */
const NO_DEVICE = /^0*$/

/** Notes in a document that this person edits who they are, unless it says so already. */
export function signText(doc: LoroDoc, device: string, { name, hue }: Profile): void {
  if (NO_DEVICE.test(device)) return
  const known = parsePerson(doc.getMap(PEOPLE).get(device))
  if (known?.name === name && known.hue === hue) return
  doc.commit()
  doc.getMap(PEOPLE).set(device, { name, hue })
  // Nothing that a person undoes.
  doc.commit({ origin: `${DUNLIN_ORIGIN}-people`, message: NOTE_MESSAGE })
}

/** Who wrote in the document, by device. Claims of peers: bounded and clean, but not proven. */
export function readTextPeople(doc: LoroDoc): ReadonlyMap<string, Profile> {
  const people = new Map<string, Profile>()
  for (const [device, value] of doc.getMap(PEOPLE).entries()) {
    const person = parsePerson(value)
    if (person !== null) people.set(device, person)
  }
  return people
}

function parsePerson(value: unknown): Profile | null {
  if (typeof value !== "object" || value === null) return null
  const { name, hue } = value as Readonly<Record<string, unknown>>
  const clean = cleanName(name)
  return clean === "" ? null : { name: clean, hue: cleanHue(hue) }
}
