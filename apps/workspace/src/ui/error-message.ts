/** What an error says of itself, to be shown as a part of a sentence. Anything can be thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
