import { insertText } from "@dunlin/loro"
import type { LoroDoc } from "loro-crdt"

/** Stored with the change that brings a former version back, so that the history can tell. */
export const RESTORE_MESSAGE = "restored"

/** Brings the body back to a former text by new edits. The returned function undoes that, and keeps what came after. */
export function restoreText(doc: LoroDoc, former: string): () => void {
  doc.commit()
  const replaced = doc.getText("body").toString()
  replaceText(doc, former, RESTORE_MESSAGE)
  const restored = doc.frontiers()
  return () => {
    doc.commit()
    // The copy undoes it at once, and only then receives what has been written since.
    const copy = doc.forkAt(restored)
    replaceText(copy, replaced)
    copy.import(doc.export({ mode: "update", from: copy.version() }))
    const undone = copy.getText("body").toString()
    copy.free()
    replaceText(doc, undone, RESTORE_MESSAGE)
  }
}

/** Brings the body to `next` by the smallest change, so that what others write meanwhile stays. */
function replaceText(doc: LoroDoc, next: string, message?: string): void {
  const text = doc.getText("body")
  try {
    // Loro's own comparison has no time limit unless it is given one.
    text.update(next, { timeoutMs: 50 })
  } catch {
    const now = text.toString()
    const { start, end } = changedPart(now, next)
    text.delete(start, now.length - start - (next.length - end))
    insertText(text, start, next.slice(start, end))
  }
  doc.commit(message === undefined ? undefined : { message })
}

/** The part of `next` that differs from `now`. */
export function changedPart(now: string, next: string): { readonly start: number; readonly end: number } {
  const start = commonStart(now, next)
  return { start, end: next.length - commonEnd(now.slice(start), next.slice(start)) }
}

function commonStart(a: string, b: string): number {
  let length = 0
  while (length < a.length && length < b.length && a[length] === b[length]) length++
  // Never inside a surrogate pair, because Loro refuses such positions.
  return isHighSurrogate(a, length - 1) ? length - 1 : length
}

function commonEnd(a: string, b: string): number {
  let length = 0
  while (length < a.length && length < b.length && a.at(-1 - length) === b.at(-1 - length)) length++
  return isLowSurrogate(a, a.length - length) ? length - 1 : length
}

function isHighSurrogate(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code >= 0xd800 && code <= 0xdbff
}

function isLowSurrogate(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code >= 0xdc00 && code <= 0xdfff
}
