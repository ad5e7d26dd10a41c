import { DUNLIN_ORIGIN } from "@dunlin/loro"
import type { LoroDoc } from "loro-crdt"
import { cleanHue, cleanName, type Profile } from "../device/profile.ts"

/** Map in a document that records who uses which device, so that its history can name people who are not here. */
const PEOPLE = "people"
/** Message of such a change, so that it does not end a step of the history. */
export const NOTE_MESSAGE = "note"
/** The device id outside of any room, which identifies nobody. */
const NO_DEVICE = /^0*$/

/** Records in a document who is editing on this device. False if there is nothing to record. */
export function signText(doc: LoroDoc, device: string, { name, hue }: Profile): boolean {
  if (NO_DEVICE.test(device)) return false
  const known = parsePerson(doc.getMap(PEOPLE).get(device))
  if (known?.name === name && known.hue === hue) return false
  doc.commit()
  doc.getMap(PEOPLE).set(device, { name, hue })
  // Not something that a person could undo.
  doc.commit({ origin: `${DUNLIN_ORIGIN}-people`, message: NOTE_MESSAGE })
  return true
}

/** Who wrote in the document, by device. Peers claim this: it is bounded and clean, but not proven. */
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
