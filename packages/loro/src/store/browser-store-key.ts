import { openDB } from "idb"

import { LoroReplicaError } from "../loro-replica-error.ts"

const DATABASE = "dunlin-keys"
const TABLE = "keys"

/**
 * A key for `encryptedStore` that this browser profile makes and keeps. Scripts can use it but never read it; the files of
 * the profile contain it, so it does not protect a copied profile. It lasts as long as the browser's storage, and is lost
 * together with the documents when that is cleared.
 */
export async function browserStoreKey(name: string): Promise<CryptoKey> {
  if (typeof indexedDB === "undefined") {
    throw new LoroReplicaError(
      "storage-failed",
      "there is no IndexedDB here: pass a key of your own to encryptedStore",
    )
  }
  const database = await openDB(DATABASE, 1, {
    upgrade: (opened) => void opened.createObjectStore(TABLE),
  })
  try {
    const fresh = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, [
      "encrypt",
      "decrypt",
    ])
    // In one transaction, so that two tabs agree on one key.
    const transaction = database.transaction(TABLE, "readwrite", { durability: "strict" })
    const known: unknown = await transaction.store.get(name)
    if (known === undefined) await transaction.store.put(fresh, name)
    await transaction.done
    return known instanceof CryptoKey ? known : fresh
  } finally {
    database.close()
  }
}
