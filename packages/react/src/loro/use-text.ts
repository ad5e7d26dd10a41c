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
  /** For a `<textarea>` or `<input type="text">`: keeps it equal to the text. Give it no `value` of its own. */
  readonly ref: RefCallback<TextField>
}

/**
 * A text of a document, named, or found by a function of stable identity. Options count when the element appears.
 */
export function useText(
  document: LoroDocument | LoroDoc,
  where: string | ((doc: LoroDoc) => LoroText),
  options?: BindTextareaOptions,
): TextHandle {
  const source = useMemo(() => textOf(document, where), [document, where])
  const { subscribe, read } = useMemo(() => followText(source), [source])
  const value = useSyncExternalStore(subscribe, read, read)
  // Read when the element appears: a new object at each render must not bind anew.
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

/** React reads several times for each change, and a long text takes long to become a string: once is enough. */
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
      // While nobody follows, nobody would notice that it is out of date.
      if (followers > 0) value = now
      return now
    },
  }
}

function noop(): void {}
