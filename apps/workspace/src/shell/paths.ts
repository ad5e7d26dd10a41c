/**
 * Ids come from peers, and may contain characters that are special in an address. They are escaped in a way of our own,
 * because the router undoes an unspecified part of percent-encoding by itself.
 */
export function documentPath(id: string): string {
  return `/documents/${escapeId(id)}`
}

export function taskPath(id: string): string {
  return `/board/${escapeId(id)}`
}

/** Id of the document that a path opens. */
export function documentAt(path: string): string | null {
  const id = /^\/documents\/([^/]+)$/.exec(path)?.[1]
  return id === undefined ? null : readId(id)
}

/** Decodes the id in a segment of a path. */
export function readId(part: string): string {
  return part.replaceAll(/~([0-9a-z]{1,4})~/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 36)),
  )
}

function escapeId(id: string): string {
  return id.replaceAll(/[^A-Za-z0-9_-]/g, (character) => `~${character.charCodeAt(0).toString(36)}~`)
}
