import type { IconName } from "../ui/icon.tsx"

export const SECTIONS: readonly { readonly path: string; readonly name: string; readonly icon: IconName }[] =
  [
    { path: "/documents", name: "Documents", icon: "document" },
    { path: "/board", name: "Board", icon: "board" },
    { path: "/note", name: "Quick note", icon: "note" },
    { path: "/people", name: "People", icon: "people" },
  ]
