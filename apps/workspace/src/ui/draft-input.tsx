import type { ComponentProps } from "react"
import { type DraftOptions, useDraft } from "./use-draft.ts"

type Managed = "value" | "onChange" | "onBlur" | "ref"

export interface DraftInputProps extends Omit<ComponentProps<"input">, Managed>, DraftOptions {}
export interface DraftAreaProps extends Omit<ComponentProps<"textarea">, Managed>, DraftOptions {}

export function DraftInput({ value, save, keepAs, ...rest }: DraftInputProps) {
  return <input dir="auto" {...rest} {...useDraftField({ value, save, keepAs })} />
}

export function DraftArea({ value, save, keepAs, ...rest }: DraftAreaProps) {
  return <textarea dir="auto" {...rest} {...useDraftField({ value, save, keepAs })} />
}

interface DraftField {
  readonly value: string
  onChange(event: { readonly target: { readonly value: string } }): void
  onBlur(): void
}

function useDraftField(options: DraftOptions): DraftField {
  const draft = useDraft(options)
  return {
    value: draft.text,
    onChange: ({ target }) => draft.type(target.value),
    onBlur: () => void draft.flush(),
  }
}
