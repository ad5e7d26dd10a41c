import { useLayoutEffect, useRef } from "react"
import { changedPart } from "./replace-text.ts"

export interface VersionTextProps {
  readonly text: string
  /** As it was a step earlier. */
  readonly before: string
}

/** A text with what its last step wrote marked, and in sight. */
export function VersionText({ text, before }: VersionTextProps) {
  const mark = useRef<HTMLElement>(null)
  useLayoutEffect(() => {
    mark.current?.scrollIntoView({ block: "center" })
  }, [text, before])
  if (text === before) return text || <Empty />
  const { start, end } = changedPart(before, text)
  return (
    <>
      {text.slice(0, start)}
      {/* Where something was taken out there is nothing to colour, but still a place to show. */}
      <mark ref={mark}>{text.slice(start, end)}</mark>
      {text.slice(end)}
      {text === "" && <Empty />}
    </>
  )
}

function Empty() {
  return <span className="soft">Empty</span>
}
