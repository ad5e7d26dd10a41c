import { type LoroDoc, UndoManager } from "loro-crdt"

import { DUNLIN_ORIGIN, RESTORE_ORIGIN } from "../history/authors.ts"

/** How far undo goes back, and in what steps. */
export interface TextUndoOptions {
  /** Edits this close together are undone together; 800 ms by default. */
  readonly mergeMs?: number
  /** How many steps are kept; 300 by default. */
  readonly maxSteps?: number
}

/** Undoes what was edited on this device in a document, and nothing else. Bindings of one document can share it. */
export interface TextUndo {
  /** Takes back the last step; false if there is none. */
  undo(): boolean
  /** Makes the last undone step again; false if there is none. */
  redo(): boolean
  /** For a button: whether there is a step to take back. */
  canUndo(): boolean
  /** For a button: whether there is an undone step. */
  canRedo(): boolean
  /**
   * Continues with the instance that replaced a broken one. Edits made in the broken one can no longer be undone. Bindings
   * that share this undo call it by themselves.
   */
  follow(doc: LoroDoc): void
  /** Frees what the undo holds. Idempotent; afterwards there is nothing to undo. */
  close(): void
}

const MERGE_MS = 800
const MAX_STEPS = 300

/** Makes one undo for several bindings of a document. Whoever makes it closes it, after the bindings. */
export function createTextUndo(doc: LoroDoc, options: TextUndoOptions = {}): TextUndo {
  const mergeMs = options.mergeMs ?? MERGE_MS
  let unwatch: () => void = () => undefined
  const manage = (of: LoroDoc): UndoManager => {
    const made = new UndoManager(of, {
      mergeInterval: mergeMs,
      maxUndoSteps: options.maxSteps ?? MAX_STEPS,
      // The author entry is no edit by hand.
      excludeOriginPrefixes: [DUNLIN_ORIGIN],
    })
    unwatch = keepRestoresApart(of, made, mergeMs)
    return made
  }
  let managed = doc
  let manager = manage(doc)
  const dismiss = (): void => {
    unwatch()
    freeQuietly(manager)
  }
  // A checkout empties the manager, which then misses the next edit, so every checkout renews it. Attaching is no occasion
  // for that: after a checkout of the latest version it changes nothing, and Loro reports nothing.
  const renewAfterCheckouts = (of: LoroDoc): (() => void) =>
    of.subscribe(({ by }) => {
      if (by !== "checkout") return
      dismiss()
      manager = manage(of)
    })
  let unsubscribe = renewAfterCheckouts(doc)
  let closed = false
  const step = (which: "undo" | "redo"): boolean => {
    if (closed) return false
    // What is pending is a step of its own. The manager would commit it too, at a moment when nobody else may use it.
    managed.commit()
    return manager[which]()
  }
  return {
    undo: () => step("undo"),
    redo: () => step("redo"),
    canUndo: () => !closed && manager.canUndo(),
    canRedo: () => !closed && manager.canRedo(),
    follow(next) {
      if (closed || next === managed) return
      unsubscribe()
      dismiss()
      managed = next
      manager = manage(next)
      unsubscribe = renewAfterCheckouts(next)
    },
    close() {
      if (closed) return
      closed = true
      unsubscribe()
      dismiss()
    },
  }
}

/** Somebody who goes back to a version and types on at once does not want one undo for both. */
function keepRestoresApart(doc: LoroDoc, manager: UndoManager, mergeMs: number): () => void {
  let isAfterRestore = false
  let intervalMs = mergeMs
  return doc.subscribePreCommit(({ origin, modifier }) => {
    modifier.free()
    // An undo or redo is using the manager, and begins no step.
    if (origin === "undo" || origin?.startsWith(DUNLIN_ORIGIN)) return
    const isRestore = origin === RESTORE_ORIGIN
    const wantedMs = isRestore || isAfterRestore ? 0 : mergeMs
    isAfterRestore = isRestore
    if (wantedMs === intervalMs) return
    intervalMs = wantedMs
    manager.setMergeInterval(wantedMs)
  })
}

/** Freeing the manager of a document that Loro broke may throw. */
function freeQuietly(manager: UndoManager): void {
  try {
    manager.free()
  } catch {
    // Its memory is lost: that is what a trap costs.
  }
}
