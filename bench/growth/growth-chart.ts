/** One line of a chart: a name, its unit, and a value for each size. */
export interface Series {
  readonly name: string
  readonly points: readonly (readonly [size: number, value: number])[]
}

export interface GrowthChart {
  readonly title: string
  /** What grows. */
  readonly sizes: string
  readonly series: readonly Series[]
}

const WIDTH = 640
const HEIGHT = 320
const LEFT = 56
const RIGHT = 190
const TOP = 36
const BOTTOM = 44
const COLOURS: readonly string[] = ["#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed"]

/**
 * An SVG in which every series starts at 1 and both axes are logarithmic: a line as steep as the dashed one grows with
 * the size, a flat one does not depend on it.
 */
export function growthChart({ title, sizes, series }: GrowthChart): string {
  const relative = series.map(({ name, points }) => {
    const first = points.find(([, value]) => value > 0)?.[1] ?? 1
    return {
      name,
      last: points.at(-1)?.[1] ?? 0,
      points: points.map(([size, value]) => [size, Math.max(value / first, 0.1)] as const),
    }
  })
  const all = relative.flatMap(({ points }) => points)
  const [least, most] = [Math.min(...all.map(([size]) => size)), Math.max(...all.map(([size]) => size))]
  const top = Math.max(10, 10 ** Math.ceil(Math.log10(Math.max(...all.map(([, value]) => value)))))
  const bottom = Math.min(1, ...all.map(([, value]) => value)) < 1 ? 0.1 : 1
  const x = (size: number): number =>
    LEFT + ((WIDTH - LEFT - RIGHT) * Math.log(size / least)) / Math.max(Math.log(most / least), 1e-9)
  const y = (value: number): number =>
    HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * Math.log(value / bottom)) / Math.log(top / bottom)

  const ticks = [...new Set(all.map(([size]) => size))].toSorted((a, b) => a - b)
  const decades = Array.from(
    { length: Math.round(Math.log10(top / bottom)) + 1 },
    (_, at) => bottom * 10 ** at,
  )
  const parts = [
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    text(LEFT, 20, title, { weight: "600" }),
    ...decades.map(
      (value) =>
        `<line x1="${LEFT}" y1="${at(y(value))}" x2="${WIDTH - RIGHT}" y2="${at(y(value))}" stroke="#e5e7eb"/>` +
        text(LEFT - 8, y(value) + 4, `${value}×`, { anchor: "end" }),
    ),
    ...ticks.map((size) => text(x(size), HEIGHT - BOTTOM + 18, compact(size), { anchor: "middle" })),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, sizes, { anchor: "middle" }),
    linearGuide(),
    ...relative.flatMap(({ name, points }, index) => {
      const colour = COLOURS[index % COLOURS.length] as string
      const line = points.map(([size, value]) => `${at(x(size))},${at(y(value))}`).join(" ")
      const labelY = TOP + 8 + index * 18
      return [
        `<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="2"/>`,
        ...points.map(
          ([size, value]) => `<circle cx="${at(x(size))}" cy="${at(y(value))}" r="3" fill="${colour}"/>`,
        ),
        text(WIDTH - RIGHT + 12, labelY, name, { colour }),
      ]
    }),
    text(WIDTH - RIGHT + 12, TOP + 8 + series.length * 18, "- - with the size", { colour: "#6b7280" }),
  ]
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">\n${parts.join("\n")}\n</svg>\n`

  function linearGuide(): string {
    const reach = Math.min(most / least, top)
    return `<line x1="${at(x(least))}" y1="${at(y(1))}" x2="${at(x(least * reach))}" y2="${at(y(reach))}" stroke="#6b7280" stroke-dasharray="5 5"/>`
  }
}

function text(
  x: number,
  y: number,
  content: string,
  {
    anchor = "start",
    colour = "#111827",
    weight = "400",
  }: { anchor?: string; colour?: string; weight?: string } = {},
): string {
  return `<text x="${at(x)}" y="${at(y)}" font-family="system-ui, sans-serif" font-size="12" font-weight="${weight}" text-anchor="${anchor}" fill="${colour}">${escaped(content)}</text>`
}

function at(value: number): string {
  return String(Math.round(value * 10) / 10)
}

function compact(size: number): string {
  if (size >= 1_000_000) return `${size / 1_000_000}M`
  return size >= 1_000 ? `${size / 1_000}k` : String(size)
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;")
}
