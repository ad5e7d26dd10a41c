import type { ComponentProps } from "react"
import { type DraftOptions, useDraft } from "./use-draft.ts"

type Managed = "value" | "onChange" | "ref"

export interface DraftInputProps extends Omit<ComponentProps<"input">, Managed>, DraftOptions {}

export function DraftInput({ value, save, keepAs, onBlur, ...rest }: DraftInputProps) {
  const draft = useDraft({ value, save, keepAs })
  return (
    <input
      {...rest}
      value={draft.text}
      onChange={(event) => draft.type(event.target.value)}
      onBlur={(event) => {
        void draft.flush()
        onBlur?.(event)
      }}
    />
  )
}

export interface DraftAreaProps extends Omit<ComponentProps<"textarea">, Managed>, DraftOptions {}

export function DraftArea({ value, save, keepAs, onBlur, ...rest }: DraftAreaProps) {
  const draft = useDraft({ value, save, keepAs })
  return (
    <textarea
      {...rest}
      value={draft.text}
      onChange={(event) => draft.type(event.target.value)}
      onBlur={(event) => {
        void draft.flush()
        onBlur?.(event)
      }}
    />
  )
}
