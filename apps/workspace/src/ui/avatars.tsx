import { Avatar } from "./avatar.tsx"

export interface AvatarsProps {
  readonly people: readonly { readonly session: string; readonly name: string; readonly hue: number }[]
  /** How many are drawn; the others are counted. */
  readonly most: number
}

export function Avatars({ people, most }: AvatarsProps) {
  const hidden = people.length - most
  return (
    <>
      {people.slice(0, most).map((person) => (
        <Avatar key={person.session} name={person.name} hue={person.hue} />
      ))}
      {hidden > 0 && (
        <span className="avatar avatar-more numbers" aria-hidden="true">
          +{hidden}
        </span>
      )}
    </>
  )
}
