import type { PlantedBug } from "./planted-bug.ts"

export const PLANTED_BUGS: readonly PlantedBug[] = []

/** Throws a `RangeError` for a name that is none. */
export function findPlantedBug(name: string): PlantedBug {
  const found = PLANTED_BUGS.find((bug) => bug.name === name)
  if (found === undefined) throw new RangeError(`no planted bug is called "${name}"`)
  return found
}
