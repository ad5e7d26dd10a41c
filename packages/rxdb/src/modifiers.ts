import { type Clock, cloneJson, type RegisterValue } from "@dunlin/core"
import type { WithDeleted } from "rxdb"
import { type AskedCode, createAskedCode } from "./asked-code.ts"
import { assertDocument, type DocumentData, type DocumentShape } from "./document-shape.ts"

/**
 * Gets a copy of the document, with `_deleted`. Returns the document to use in its place, null, or a promise of either.
 * If it throws, returns anything else, or does not answer for 10 s, its document is left out.
 */
export type Modifier<RxDocType = DocumentData> = (document: WithDeleted<RxDocType>) => unknown

/** `push.modifier` and `pull.modifier`: they run the same on every side, whichever peer began. */
export interface Modifiers {
  /** There is no `push.modifier`. */
  readonly sharesEverything: boolean
  /** There is no `pull.modifier`. */
  readonly keepsEverything: boolean
  /** What others may see of a local document; null when it stays on this device. */
  toShared(key: string, value: RegisterValue): Promise<RegisterValue | null>
  /** How a shared document is kept on this device. */
  toLocal(key: string, value: RegisterValue): Promise<RegisterValue>
  /** Asks `push.modifier` again the next time, also where it has not answered and a pause would be due. */
  endPauses(): void
}

export interface ModifierOptions {
  readonly push?: Modifier
  readonly pull?: Modifier
  /** Once this is aborted, no modifier is waited for. */
  readonly leaving: AbortSignal
  readonly clock: Clock
  /** `push.modifier` has answered late: this document can be shared now. */
  readonly pushAnswered: (key: string) => void
}

export function documentModifiers(
  shape: DocumentShape,
  { push, pull, leaving, clock, pushAnswered }: ModifierOptions,
): Modifiers {
  const asked = {
    push: createAskedCode({ clock, leaving, answered: pushAnswered }),
    // Nothing here waits for it: a peer has to offer the document again.
    pull: createAskedCode({ clock, leaving, answered() {} }),
  }
  const apply = async (
    code: AskedCode,
    modifier: Modifier,
    key: string,
    value: RegisterValue,
  ): Promise<RegisterValue | null> => {
    const run = async (): Promise<unknown> => modifier(cloneJson(shape.documentOf(key, value)))
    const modified = await code.ask(key, value, run)
    if (modified === null) return null
    assertDocument(modified)
    const { deleted, payload } = shape.valueOf(modified)
    return value.fields === undefined ? { deleted, payload } : { deleted, payload, fields: value.fields }
  }
  return {
    sharesEverything: push === undefined,
    keepsEverything: pull === undefined,
    endPauses: () => asked.push.endPauses(),
    toShared: async (key, value) => (push === undefined ? value : apply(asked.push, push, key, value)),
    toLocal: async (key, value) =>
      pull === undefined ? value : ((await apply(asked.pull, pull, key, value)) ?? value),
  }
}
