/** The message of a caught value: platforms and applications throw other values than errors, too. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
