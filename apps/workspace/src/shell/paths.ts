/**
 * Ids come from peers, and may hold what an address takes for something else. Escaped in a way of our own: the router
 * undoes a part of percent-encoding by itself, and nobody could tell which.
 */
export function documentPath(id: string): string {
  return `/documents/${escapeId(id)}`
}

export function taskPath(id: string): string {
  return `/board/${escapeId(id)}`
}

/** Id of the document that is open at a path. */
export function documentAt(path: string): string | null {
  const id = /^\/documents\/([^/]+)$/.exec(path)?.[1]
  return id === undefined ? null : readId(id)
}

/** The id in a part of a path. */
export function readId(part: string): string {
  return part.replaceAll(/~([0-9a-z]{1,4})~/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 36)),
  )
}

function escapeId(id: string): string {
  return id.replaceAll(/[^A-Za-z0-9_-]/g, (character) => `~${character.charCodeAt(0).toString(36)}~`)
}
