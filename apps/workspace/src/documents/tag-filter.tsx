import { useMemo } from "react"
import type { DocumentEntry } from "../data/entries.ts"
import { Icon } from "../ui/icon.tsx"
import { Menu } from "../ui/menu.tsx"

export interface TagFilterProps {
  readonly entries: readonly DocumentEntry[]
  readonly tag: string | null
  readonly choose: (tag: string | null) => void
}

const SHOWN = 40

export function TagFilter({ entries, tag, choose }: TagFilterProps) {
  const tags = useMemo(() => tagsByUse(entries), [entries])
  if (tags.length === 0 && tag === null) return null
  return (
    <Menu
      label={tag === null ? "Filter by tag" : `Filtered by tag ${tag}`}
      className="button quiet"
      button={
        <>
          <Icon name="tag" size={16} />
          {tag ?? "All tags"}
        </>
      }
      items={[
        { label: "All tags", icon: checkIf(tag === null), run: () => choose(null) },
        "line",
        ...tags
          .slice(0, SHOWN)
          .map((name) => ({ label: name, icon: checkIf(name === tag), run: () => choose(name) })),
      ]}
    />
  )
}

function checkIf(isChosen: boolean) {
  return isChosen ? <Icon name="check" /> : <span className="icon-space" />
}

function tagsByUse(entries: readonly DocumentEntry[]): readonly string[] {
  const uses = new Map<string, number>()
  for (const entry of entries) for (const tag of entry.tags) uses.set(tag, (uses.get(tag) ?? 0) + 1)
  return [...uses].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).map(([tag]) => tag)
}
