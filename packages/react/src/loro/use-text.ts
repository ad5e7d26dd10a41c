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
  // React reads several times for each change, and a long text takes long to become a string.
  const latest = useMemo((): Latest => ({ source, isFollowed: false, value: null }), [source])
  const subscribe = useCallback(
    (onChange: () => void) => {
      const changed = (): void => {
        latest.value = null
        onChange()
      }
      let end = source.text().subscribe(changed)
      const endSource = source.subscribe(() => {
        end()
        end = source.isWritable() ? source.text().subscribe(changed) : noop
        changed()
      })
      latest.isFollowed = true
      return () => {
        Object.assign(latest, { isFollowed: false, value: null })
        end()
        endSource()
      }
    },
    [source, latest],
  )
  const read = (): string => {
    const value = latest.value ?? source.text().toString()
    if (latest.isFollowed) latest.value = value
    return value
  }
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

interface Latest {
  readonly source: TextSource
  /** Only then a change is noticed. */
  isFollowed: boolean
  value: string | null
}

function noop(): void {}
