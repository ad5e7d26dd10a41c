/** Of values in any order; null when there are none. */
export function quantile(values: readonly number[], q: number): number | null {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? null
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5) ?? Number.NaN
}
