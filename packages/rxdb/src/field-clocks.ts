import {
  advanceFields,
  canonicalJson,
  type FieldClocks,
  type JsonObject,
  type MergeSide,
  RegisterError,
  type RegisterValue,
} from "@dunlin/core"

/**
 * The clocks of a document's fields after a write, also where a field holds what cannot be shared: the other fields are
 * merged once it can, and must not all count as written then.
 */
export function clocksAfter(previous: MergeSide | null, next: RegisterValue, hlc: number): FieldClocks {
  try {
    return advanceFields(previous, next, hlc)
  } catch (error) {
    if (!(error instanceof RegisterError) || error.code !== "unshareable") throw error
    return advanceFields(previous === null ? null : comparable(previous), comparable(next), hlc)
  }
}

/** The same with a text in place of each field that cannot be shared. */
function comparable<Value extends RegisterValue>(value: Value): Value {
  const fields = Object.entries(value.payload).map(([name, field]) => [
    name,
    isShareable(field) ? field : textOf(field),
  ])
  return { ...value, payload: Object.fromEntries(fields) as JsonObject }
}

function isShareable(field: JsonObject[string] | undefined): boolean {
  try {
    canonicalJson(field ?? null)
    return true
  } catch {
    return false
  }
}

function textOf(field: unknown): string {
  try {
    return `\u0000${JSON.stringify(field, (_, part: unknown) => (typeof part === "number" || typeof part === "bigint" ? String(part) : part))}`
  } catch {
    return "\u0000"
  }
}
