/**
 * Why this is no collection, and what to pass instead; null when it is one. Judged by its members: an application may
 * have two copies of RxDB, and so two classes.
 */
export function noCollection(given: unknown): string | null {
  if (given === undefined || given === null)
    return `it is ${String(given)}. Pass a collection, such as database.todos, once addCollections() has resolved.`
  if (isCollection(given)) return isState(given) ? COUNTED_OPERATIONS : null
  const members = given as Readonly<Record<string, unknown>>
  if (isObject(given) && typeof members["addCollections"] === "function") {
    const names = Object.keys(members["collections"] ?? {})
    const such = names.length === 0 ? "database.todos" : names.map((name) => `database.${name}`).join(", ")
    return `it is the database. Pass one of its collections: ${such}. Each takes a call of its own.`
  }
  if (typeof members["then"] === "function")
    return "it is a promise. Await addCollections() and pass one of the collections it resolves to."
  const values = isObject(given) ? Object.values(given) : []
  if (values.length > 0 && values.every(isCollection))
    return "it is an object of collections. Pass one of them; each takes a call of its own."
  return "it is not an RxCollection. Pass a collection, such as database.todos, once addCollections() has resolved."
}

function isCollection(value: unknown): value is Readonly<Record<string, object>> {
  if (!isObject(value)) return false
  const { storageInstance, schema, database } = value as Readonly<Record<string, unknown>>
  return isObject(storageInstance) && isObject(schema) && isObject(database)
}

/** Two devices give different operations the same number: each keeps its own, and one is lost after a restart. */
const COUNTED_OPERATIONS =
  "it belongs to database.addState(), which numbers its operations on each device alone. Keep what is to be shared in documents of a collection of your own."

/** The title that RxDB's state plugin gives the schema of its collections. */
const STATE_TITLE = "RxStateCollection"

function isState({ schema }: Readonly<Record<string, object>>): boolean {
  const { jsonSchema } = (schema ?? {}) as { readonly jsonSchema?: { readonly title?: unknown } }
  return jsonSchema?.title === STATE_TITLE
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null
}
