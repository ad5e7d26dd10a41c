/** Line icons on a 20-unit grid, drawn for this application. */
const PATHS = {
  archive: "M3 4.5h14v3H3zM4.5 7.5v8h11v-8M8 10.5h4",
  back: "M12 4.5 6.5 10l5.5 5.5",
  board: "M3.5 4h3.6v12H3.5zM8.2 4h3.6v8H8.2zM12.9 4h3.6v5h-3.6z",
  check: "m4.5 10.5 3.5 3.5 7.5-8",
  close: "m5 5 10 10M15 5 5 15",
  copy: "M7 7h9v9H7zM13 7V4H4v9h3",
  device: "M3 4.5h14v9H3zM7 16.5h6M10 13.5v3",
  document: "M5 3h6.5L15 6.5V17H5zM11.5 3v3.5H15M7.5 10h5M7.5 13h5",
  download: "M10 3.5v9m-3.5-3.5 3.5 3.5 3.5-3.5M4 16.5h12",
  history: "M4 10a6 6 0 1 0 1.9-4.4L4 7.3M4 3.8v3.5h3.5M10 6.8V10l2.4 1.6",
  info: "M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM10 9.2v4.3M10 6.4v.2",
  keyboard: "M2.5 5.5h15v9h-15zM5.5 8.5h.1M8.5 8.5h.1M11.5 8.5h.1M14.5 8.5h.1M6.5 11.7h7",
  link: "m8.3 11.7 3.4-3.4M9 6.4l1.5-1.5a3.2 3.2 0 0 1 4.6 4.6L13.6 11M11 13.6l-1.5 1.5a3.2 3.2 0 0 1-4.6-4.6L6.4 9",
  merge: "M5.5 4v3.5c0 2.5 4.5 2.5 4.5 5V16M14.5 4v3.5c0 2.5-4.5 2.5-4.5 5M7.8 13.8 10 16l2.2-2.2",
  moon: "M16 11.8A6.3 6.3 0 0 1 8.2 4a6.3 6.3 0 1 0 7.8 7.8z",
  more: "M5 10h.1M10 10h.1M15 10h.1",
  note: "M4 3.5h12v9l-4 4H4zM16 12.5h-4v4M7 7h6M7 10h4",
  palette: "M6.5 3.5a2 2 0 1 0 2 2v9a2 2 0 1 0-2-2h7a2 2 0 1 0-2 2v-9a2 2 0 1 0 2 2h-7",
  pause: "M7 5v10M13 5v10",
  people:
    "M7.5 9.5a2.7 2.7 0 1 0 0-5.4 2.7 2.7 0 0 0 0 5.4zM2.5 16c.3-3 2.2-4.6 5-4.6s4.7 1.6 5 4.6M13 4.4a2.6 2.6 0 0 1 0 5M14.6 11.7c1.7.6 2.7 2 2.9 4.3",
  plus: "M10 4v12M4 10h12",
  search: "M9 14.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM13 13l4 4",
  settings: "M3 6h8M15 6h2M3 14h2M9 14h8M13 8a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM7 16a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  share: "M10 12.5V3.5M6.5 6.8 10 3.3l3.5 3.5M6 9.5H4.5v7h11v-7H14",
  sun: "M10 13.2a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4zM10 2.5v1.8M10 15.7v1.8M2.5 10h1.8M15.7 10h1.8M4.7 4.7 6 6M14 14l1.3 1.3M4.7 15.3 6 14M14 6l1.3-1.3",
  tag: "M3.5 3.5h6l7 7-6 6-7-7zM6.8 6.8h.1",
  trash: "M4 6h12M8 6V4h4v2M5.5 6l.7 10.5h7.6L14.5 6M8.5 9v4.5M11.5 9v4.5",
  upload: "M10 12.5v-9m-3.5 3.5L10 3.5 13.5 7M4 16.5h12",
  warning: "M10 3.5 17.5 16.5h-15zM10 8.5v3.5M10 14.2v.1",
  window: "M3 4.5h10v8H3zM7 12.5v3h10v-8h-4",
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name, size = 18 }: { readonly name: IconName; readonly size?: number }) {
  return (
    <svg width={`${size / 16}rem`} height={`${size / 16}rem`} viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth={name === "more" ? 2.4 : 1.5} strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  ) // prettier-ignore
}

/** The bird: body, bill and wing in three strokes. */
export function Mark({ size = 24 }: { readonly size?: number }) {
  return (
    <svg width={`${size / 16}rem`} height={`${size / 16}rem`} viewBox="0 0 32 32" aria-hidden="true">
      <path fill="var(--accent)" d="M3 14.5c2.2-.9 4.2-1.1 5.6-1.1C9.3 10.4 11.6 8.5 14.5 8.5c2.7 0 4.7 1.5 5.6 3.6 3.2.7 6.3 2.8 8.9 6.4-2.8-.7-4.7-.6-6.2.2C20.7 22.3 17.8 24 14.6 24c-4.3 0-7-3-6.6-7.2-1.2-.9-2.8-1.7-5-2.3z" />
      <path fill="none" stroke="var(--paper)" strokeWidth="1.5" strokeLinecap="round" d="M13.5 17.5c2.7 1.5 6 1.6 9.3.9" />
      <circle cx="13" cy="12.2" r="1.050" fill="var(--paper)" />
    </svg>
  ) // prettier-ignore
}
