import { DropInError } from "./drop-in-error.ts"

/**
 * Defines members of RxDB's objects that are replaced here: they are in the types, so that programs compile, and throw
 * as soon as they are read. Printing or copying the object does not read them.
 */
export function refuseMembers<Member extends string>(
  target: object,
  owner: string,
  replacements: Readonly<Record<Member, string>>,
): void {
  for (const [name, replacement] of Object.entries<string>(replacements))
    Object.defineProperty(target, name, {
      enumerable: false,
      configurable: true,
      get(): never {
        throw new DropInError("unsupported", `${owner}.${name} is not part of @dunlin/rxdb: ${replacement}.`)
      },
    })
}
