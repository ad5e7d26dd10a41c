export function quantile(sorted: readonly number[], q: number): number | null {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? null
}

export function median(values: readonly number[]): number {
  return (
    quantile(
      values.toSorted((a, b) => a - b),
      0.5,
    ) ?? Number.NaN
  )
}
