import type { ReactNode } from "react"
import { Icon } from "./icon.tsx"

export interface NoticeProps {
  readonly tone?: "calm" | "warn" | "bad"
  readonly title: string
  readonly children?: ReactNode
}

/** What happened and what to do, shown in place and never in the way. */
export function Notice({ tone = "calm", title, children }: NoticeProps) {
  return (
    <div className={`notice ${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <Icon name={tone === "calm" ? "info" : "warning"} />
      <div>
        <p>
          <strong>{title}</strong>
        </p>
        {children}
      </div>
    </div>
  )
}
