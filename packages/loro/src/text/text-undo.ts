import { type LoroDoc, UndoManager } from "loro-crdt"

import { DUNLIN_ORIGIN } from "../history/authors.ts"

/** How far undo goes back, and in what steps. */
export interface TextUndoOptions {
  /** Edits this close together are undone together. */
  readonly mergeMs?: number
  readonly maxSteps?: number
}

/** Undo of what this person did in a document, and of nothing else. Bindings of one document share it. */
export interface TextUndo {
  undo(): boolean
  redo(): boolean
  canUndo(): boolean
  canRedo(): boolean
  /**
   * Goes on with the instance that took the place of a broken one, of whose edits nothing can be undone any more. Bindings that share
   * this call it by themselves.
   */
  follow(doc: LoroDoc): void
  close(): void
}

const MERGE_MS = 800
const MAX_STEPS = 300

/** One undo for several bindings of a document. Whoever made it closes it, after the bindings. */
export function createTextUndo(doc: LoroDoc, options: TextUndoOptions = {}): TextUndo {
  const manage = (of: LoroDoc): UndoManager =>
    new UndoManager(of, {
      mergeInterval: options.mergeMs ?? MERGE_MS,
      maxUndoSteps: options.maxSteps ?? MAX_STEPS,
      // The author entry, and a restored version, are no edits of the text by hand.
      excludeOriginPrefixes: [DUNLIN_ORIGIN],
    })
  let managed = doc
  let manager = manage(doc)
  let closed = false
  return {
    undo: () => !closed && manager.undo(),
    redo: () => !closed && manager.redo(),
    canUndo: () => !closed && manager.canUndo(),
    canRedo: () => !closed && manager.canRedo(),
    follow(next) {
      if (closed || next === managed) return
      freeQuietly(manager)
      managed = next
      manager = manage(next)
    },
    close() {
      if (closed) return
      closed = true
      freeQuietly(manager)
    },
  }
}

/** That of a document that Loro broke may not let itself be freed. */
function freeQuietly(manager: UndoManager): void {
  try {
    manager.free()
  } catch {
    // Its memory stays lost, which is what a trap costs.
  }
}
