/** What a caught value says of itself: platforms and applications throw other things than errors, too. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
