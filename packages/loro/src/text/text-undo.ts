import { type LoroDoc, UndoManager } from "loro-crdt"

import { DUNLIN_ORIGIN } from "../history/authors.ts"

/** How far undo goes back, and in what steps. */
export interface TextUndoOptions {
  /** Edits this close together are undone together. */
  readonly mergeMs?: number
  readonly maxSteps?: number
}

/** Undoes what this person did in a document, and nothing else. Bindings of one document share it. */
export interface TextUndo {
  undo(): boolean
  redo(): boolean
  canUndo(): boolean
  canRedo(): boolean
  /**
   * Continues with the instance that replaced a broken one. Edits made in the broken one can no longer be undone. Bindings
   * that share this undo call it by themselves.
   */
  follow(doc: LoroDoc): void
  close(): void
}

const MERGE_MS = 800
const MAX_STEPS = 300

/** Makes one undo for several bindings of a document. Whoever makes it closes it, after the bindings. */
export function createTextUndo(doc: LoroDoc, options: TextUndoOptions = {}): TextUndo {
  const manage = (of: LoroDoc): UndoManager =>
    new UndoManager(of, {
      mergeInterval: options.mergeMs ?? MERGE_MS,
      maxUndoSteps: options.maxSteps ?? MAX_STEPS,
      // The author entry is no edit by hand.
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

/** Freeing the manager of a document that Loro broke may throw. */
function freeQuietly(manager: UndoManager): void {
  try {
    manager.free()
  } catch {
    // Its memory is lost: that is what a trap costs.
  }
}
