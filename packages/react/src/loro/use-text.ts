import {
  bindTextarea,
  type BindTextareaOptions,
  type LoroDocument,
  type TextField,
  type TextSource,
  textOf,
} from "@dunlin/loro"
import type { LoroDoc, LoroText } from "loro-crdt"
import { type RefCallback, useCallback, useEffect, useMemo, useRef, useSyncExternalStore } from "react"

/** What `useText` gives. */
export interface TextHandle {
  /** The text as it is now, following every edit. */
  readonly value: string
  /** For a `<textarea>` or `<input type="text">`: keeps it equal to the text. Do not give the element a `value`. */
  readonly ref: RefCallback<TextField>
}

/**
 * Follows a text of a document, given by name or by a function of stable identity. Options are read when the element
 * appears.
 */
export function useText(
  document: LoroDocument | LoroDoc,
  where: string | ((doc: LoroDoc) => LoroText),
  options?: BindTextareaOptions,
): TextHandle {
  const source = useMemo(() => textOf(document, where), [document, where])
  const { subscribe, read } = useMemo(() => followText(source), [source])
  const value = useSyncExternalStore(subscribe, read, read)
  // Options are read when the element appears: a new object on each render must not bind it again.
  const latestOptions = useRef(options)
  useEffect(() => {
    latestOptions.current = options
  })
  const ref = useCallback(
    (element: TextField | null) => {
      if (element === null) return
      const binding = bindTextarea(source, element, latestOptions.current)
      return () => binding.unbind()
    },
    [source],
  )
  return { value, ref }
}

interface FollowedText {
  subscribe(onChange: () => void): () => void
  read(): string
}

/** React reads several times for each change, and converting a long text to a string is slow, so the value is kept. */
function followText(source: TextSource): FollowedText {
  let followers = 0
  let value: string | null = null
  return {
    subscribe(onChange) {
      const changed = (): void => {
        value = null
        onChange()
      }
      let end = source.text().subscribe(changed)
      const endSource = source.subscribe(() => {
        end()
        end = source.isWritable() ? source.text().subscribe(changed) : noop
        changed()
      })
      followers++
      value = null
      return () => {
        followers--
        value = null
        end()
        endSource()
      }
    },
    read() {
      const now = value ?? source.text().toString()
      // Without followers, nothing would tell that a kept value is out of date.
      if (followers > 0) value = now
      return now
    },
  }
}

function noop(): void {}
