import { useLayoutEffect, useRef } from "react"
import type { TextPart } from "./versions.ts"

/** A text in which the changes of a step are marked, scrolled to the first of them. */
export function VersionText({ parts }: { readonly parts: readonly TextPart[] }) {
  const first = useRef<HTMLModElement>(null)
  useLayoutEffect(() => {
    const change = first.current
    if (change === null) return
    // The middle of a long change, such as a pasted text, is nowhere in particular.
    const isLong = change.getBoundingClientRect().height > innerHeight / 2
    change.scrollIntoView({ block: isLong ? "start" : "center" })
  }, [parts])
  const firstChange = parts.findIndex(({ type }) => type !== "same")
  if (parts.length === 0) return <span className="soft">Empty</span>
  return parts.map(({ type, text }, index) => {
    if (type === "same") return text
    const Tag = type === "added" ? "ins" : "del"
    return (
      <Tag key={index} ref={index === firstChange ? first : undefined}>
        {text}
      </Tag>
    )
  })
}
