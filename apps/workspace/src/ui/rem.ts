/** How many pixels a rem has: people choose larger letters in their browser. */
export function remInPx(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize) || 16
}
