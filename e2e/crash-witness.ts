/** A write that was acknowledged before this was noted: the n-th of a round. */
export interface WitnessedWrite {
  readonly round: number
  readonly n: number
}

/**
 * A database of the browser's own, with nothing of ours in it. Each note is committed after what it speaks of,
 * so a note that is gone was lost by the browser: killed between the two halves of a record, Chromium goes on writing
 * behind the first half, and finds its log corrupt, and throws all databases of the origin away, one start later.
 */
export interface Witness {
  testify(write: WitnessedWrite): Promise<void>
  last(): Promise<WitnessedWrite | null>
}

export async function openWitness(): Promise<Witness> {
  const opening = indexedDB.open("witness", 1)
  opening.addEventListener("upgradeneeded", () => opening.result.createObjectStore("notes"))
  const database = await result(opening)
  return {
    testify: (write) =>
      new Promise((resolve, reject) => {
        const transaction = database.transaction("notes", "readwrite")
        transaction.objectStore("notes").put(write, "last")
        transaction.addEventListener("complete", () => resolve())
        transaction.addEventListener("abort", () => reject(transaction.error ?? new Error("aborted")))
      }),
    async last() {
      const request = database.transaction("notes").objectStore("notes").get("last")
      return ((await result(request)) as WitnessedWrite | undefined) ?? null
    },
  }
}

/** Whether the browser has forgotten what it once told of. */
export function isEarlier(remembered: WitnessedWrite | null, told: WitnessedWrite): boolean {
  if (remembered === null) return true
  return remembered.round === told.round ? remembered.n < told.n : remembered.round < told.round
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result))
    request.addEventListener("error", () => reject(request.error ?? new Error("no reason given")))
  })
}
