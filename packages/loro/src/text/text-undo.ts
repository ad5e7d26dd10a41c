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
  close(): void
}

const MERGE_MS = 800
const MAX_STEPS = 300

/** One undo for several bindings of a document. Whoever made it closes it, after the bindings. */
export function createTextUndo(doc: LoroDoc, options: TextUndoOptions = {}): TextUndo {
  const manager = new UndoManager(doc, {
    mergeInterval: options.mergeMs ?? MERGE_MS,
    maxUndoSteps: options.maxSteps ?? MAX_STEPS,
    // The author entry, and a restored version, are no edits of the text by hand.
    excludeOriginPrefixes: [DUNLIN_ORIGIN],
  })
  let closed = false
  return {
    undo: () => !closed && manager.undo(),
    redo: () => !closed && manager.redo(),
    canUndo: () => !closed && manager.canUndo(),
    canRedo: () => !closed && manager.canRedo(),
    close() {
      if (closed) return
      closed = true
      manager.free()
    },
  }
}
