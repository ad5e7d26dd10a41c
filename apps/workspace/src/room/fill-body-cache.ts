import type { LoroDocuments } from "@dunlin/loro"
import type { BodyCache } from "../data/body-cache.ts"

export interface FillOptions {
  readonly documents: LoroDocuments
  readonly readBody: (id: string) => Promise<string>
  readonly bodies: BodyCache
  /** Whether the list of documents has an entry for it. */
  readonly isListed: (id: string) => Promise<boolean>
  readonly isClosed: () => boolean
}

/**
 * Reads texts that were never opened here, or that changed while the last page was closing, and forgets those that were
 * deleted then. Never rejects.
 */
export async function fillBodyCache(options: FillOptions): Promise<void> {
  const { documents, readBody, bodies, isListed, isClosed } = options
  try {
    await bodies.load()
    const staleSince = bodies.staleSince ?? Infinity
    const stored = await documents.list()
    const storedIds = new Set(stored.map(({ id }) => id))
    for (const id of bodies.ids()) {
      // What is listed without a text may have lost it: then this is the only copy.
      if (!storedIds.has(id) && !(await isListed(id))) await bodies.remove(id)
      if (isClosed()) return
    }
    const stale = stored.filter(
      ({ id, changedAt }) => bodies.text(id) === undefined || changedAt >= staleSince,
    )
    // All are announced before the first is read: a page that ends in between leaves the rest to the next one.
    for (const { id } of stale) bodies.expect(id)
    for (const { id } of stale) {
      const text = await readBody(id).catch(() => null)
      if (isClosed()) return
      if (text === null) bodies.giveUp(id)
      else bodies.put(id, text)
    }
  } catch {
    // The workspace was closed meanwhile, or cannot be read, which is reported where it is opened.
  }
}
