export interface CrashNote {
  id: string
  text?: string
  count?: number
}

export const crashSchema = {
  version: 0,
  primaryKey: "id",
  type: "object",
  properties: { id: { type: "string", maxLength: 60 }, text: { type: "string" }, count: { type: "number" } },
  required: ["id"],
} as const
