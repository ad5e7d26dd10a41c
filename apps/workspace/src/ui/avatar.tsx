export function Avatar({ name, hue }: { readonly name: string; readonly hue: number }) {
  return (
    <span className={`avatar hue-${hue}`} title={name} aria-hidden="true">
      {initials(name)}
    </span>
  )
}

function initials(name: string): string {
  const words = name.split(" ").filter((word) => word !== "")
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0] ?? "?"]
  return letters.map((word) => firstCharacter(word ?? "?")).join("").toUpperCase() // prettier-ignore
}

/** The first character as people see it: a letter with its accents, or a whole emoji. */
function firstCharacter(word: string): string {
  for (const { segment } of new Intl.Segmenter().segment(word)) return segment
  return "?"
}
