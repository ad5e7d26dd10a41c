const DAY = 86_400_000
// Creating one takes about a millisecond, which a list of dates would pay for every row.
const DAY_AND_MONTH = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" })
const WHOLE_DATE = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric" })

/** "just now", "5 min ago", "yesterday", or a date: short enough for a list. */
export function relativeTime(at: number, now: number = Date.now()): string {
  const age = now - at
  if (at <= 0) return ""
  if (age < 60_000 && age > -300_000) return "just now"
  if (age > 0 && age < 3_600_000) return `${Math.floor(age / 60_000)} min ago`
  if (age > 0 && age < DAY) return `${Math.floor(age / 3_600_000)} h ago`
  if (age > 0 && age < 2 * DAY) return "yesterday"
  return dateWords(at, now)
}

/** "Today", "Yesterday", or a date. */
export function relativeDay(at: number, now: number = Date.now()): string {
  const days = Math.round((startOfDay(now) - startOfDay(at)) / DAY)
  if (days === 0) return "Today"
  if (days === 1) return "Yesterday"
  return dateWords(at, now)
}

function dateWords(at: number, now: number): string {
  const sameYear = new Date(at).getFullYear() === new Date(now).getFullYear()
  return (sameYear ? DAY_AND_MONTH : WHOLE_DATE).format(at)
}

function startOfDay(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0)
}
