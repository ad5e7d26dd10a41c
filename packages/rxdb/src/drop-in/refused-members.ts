import { DropInError } from "./drop-in-error.ts"

/**
 * Members of RxDB's objects that have another place here: they are in the types, so that programs compile, and throw as soon
 * as they are read. Whoever prints or copies the object does not meet them.
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
