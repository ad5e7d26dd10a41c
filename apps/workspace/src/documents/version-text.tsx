import { useLayoutEffect, useRef } from "react"
import type { TextPart } from "./versions.ts"

/** A text with what a step did to it marked, and the first of it in sight. */
export function VersionText({ parts }: { readonly parts: readonly TextPart[] }) {
  const first = useRef<HTMLModElement>(null)
  useLayoutEffect(() => {
    first.current?.scrollIntoView({ block: "center" })
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
