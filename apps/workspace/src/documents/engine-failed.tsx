import "./engine-failed.css"
import { Notice } from "../ui/notice.tsx"

export interface EngineFailedProps {
  readonly reason: string
  readonly retry: () => void
  readonly text: string | undefined
}

export function EngineFailed({ reason, retry, text }: EngineFailedProps) {
  return (
    // Keyboards must be able to scroll it.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className="engine-failed measure" role="region" aria-label="Text as last seen" tabIndex={0}>
      <Notice tone="warn" title="The text cannot be edited right now.">
        <p>
          {reason} The list and the board work, and nothing that you wrote is lost
          {text === undefined ? "." : ": below is the text as last seen on this device."}
        </p>
        <div className="notice-actions">
          <button type="button" className="button" onClick={retry}>
            Try again
          </button>
        </div>
      </Notice>
      {text !== undefined && <div className="prose">{text}</div>}
    </div>
  )
}
