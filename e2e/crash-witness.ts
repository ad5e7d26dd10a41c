/** A write that was acknowledged before it was noted here: the n-th of its round. */
export interface WitnessedWrite {
  readonly round: number
  readonly n: number
}

/**
 * A plain database of the browser, with none of our code in it. Each note is committed after the write that it records,
 * so if a note is gone, the browser lost it. Chromium killed between the two halves of a record writes on after the
 * first half when it starts again; one start later it finds its log corrupt, and deletes all databases of the origin.
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

/** Whether the browser has forgotten a write that it once reported. */
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
