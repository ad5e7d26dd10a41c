import type { LoroDocuments } from "@dunlin/loro"
import type { BodyCache } from "../data/body-cache.ts"

export interface FillOptions {
  readonly documents: LoroDocuments
  readonly readBody: (id: string) => Promise<string>
  readonly bodies: BodyCache
  readonly isClosed: () => boolean
}

/** Reads texts that were never opened here, or that changed while the last page was closing. Never rejects. */
export async function fillBodyCache({ documents, readBody, bodies, isClosed }: FillOptions): Promise<void> {
  try {
    await bodies.load()
    const staleSince = bodies.staleSince ?? Infinity
    const stale = (await documents.list()).filter(
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
