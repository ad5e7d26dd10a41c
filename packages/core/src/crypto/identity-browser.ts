import { systemClock } from "../ports/clock.ts"
import { within } from "../ports/within.ts"
import { type DeviceKey, deviceKey, type Identity, IdentityError } from "./identity.ts"
import { generateSigningKey } from "./primitives.ts"

const STORE = "keys"
const KEY = "device"
/** A blocked or broken IndexedDB may never answer (private windows, a full disk). */
const OPEN_TIMEOUT_MS = 10_000

/**
 * A key of this browser profile and origin, not extractable: scripts can use it and not read it, but whoever can copy the
 * profile has it, since browsers store it unencrypted. All tabs share it. `name` gives an application several devices,
 * which is useful mostly in tests.
 */
export function browserIdentity(name = "dunlin-identity"): Identity {
  return {
    async load() {
      try {
        return await loadKey(name)
      } catch (cause) {
        if (cause instanceof IdentityError) throw cause
        throw new IdentityError(
          "storage-failed",
          "IndexedDB cannot keep this device's key. Allow storage for this site, or pass `identity: memoryIdentity()`.",
          { cause },
        )
      }
    },
  }
}

async function loadKey(name: string): Promise<DeviceKey> {
  const database = await openDatabase(name)
  try {
    const found: unknown = await settled(database.transaction(STORE).objectStore(STORE).get(KEY))
    if (found !== undefined) return await deviceKey(requireKeyPair(found))
    // Making a key takes longer than a transaction lives, so two tabs may each make one: the first one stored is kept.
    const made = await generateSigningKey()
    const transaction = database.transaction(STORE, "readwrite", { durability: "strict" })
    const store = transaction.objectStore(STORE)
    const present: unknown = await settled(store.get(KEY))
    if (present !== undefined) return await deviceKey(requireKeyPair(present))
    store.add(made, KEY)
    await completed(transaction)
    return await deviceKey(made)
  } finally {
    database.close()
  }
}

async function openDatabase(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1)
  request.addEventListener("upgradeneeded", () => request.result.createObjectStore(STORE))
  const database = await within(systemClock(), OPEN_TIMEOUT_MS, settled(request), null)
  if (database !== null) return database
  throw new Error(`IndexedDB did not open within ${OPEN_TIMEOUT_MS / 1000} s`)
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result))
    request.addEventListener("error", () => reject(request.error ?? new Error("IndexedDB failed")))
  })
}

function completed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.addEventListener("complete", () => resolve())
    // After an error there is always an abort.
    transaction.addEventListener("abort", () => reject(transaction.error ?? new Error("IndexedDB failed")))
  })
}

function requireKeyPair(value: unknown): CryptoKeyPair {
  const pair = value as Partial<CryptoKeyPair> | null
  if (pair?.privateKey instanceof CryptoKey && pair.publicKey instanceof CryptoKey) {
    return pair as CryptoKeyPair
  }
  throw new IdentityError(
    "damaged-key",
    "The stored device key is not a key. Clear this site's data to get a new one.",
  )
}
