import { Link, useLocation } from "wouter"
import { Icon } from "../ui/icon.tsx"
import { SECTIONS } from "./sections.ts"

/** The sections at the bottom of a narrow screen, within reach of a thumb. */
export function TabBar() {
  const [location] = useLocation()
  return (
    <nav className="tabs" aria-label="Sections">
      {SECTIONS.map((section) => (
        <Link key={section.path} href={section.path} aria-current={location.startsWith(section.path) ? "page" : undefined}>
          <Icon name={section.icon} size={20} />
          {section.name}
        </Link>
      ))}
    </nav>
  ) // prettier-ignore
}
