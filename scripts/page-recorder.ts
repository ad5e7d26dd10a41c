import type { Page } from "playwright-core"
import { type AnimationFrame, joinPngs } from "./animated-png.ts"

export interface PageRecorder {
  /** Captures the page as it is now, to be shown for `delayMs`. */
  readonly frame: (delayMs: number) => Promise<void>
  finish(): Promise<Buffer>
}

interface Cut {
  readonly x: number
  readonly y: number
  readonly png: string
}

/** Records a page as an animated PNG. Each frame holds only the rectangle that changed: typing costs a few kilobytes. */
export async function recordAnimation(page: Page): Promise<PageRecorder> {
  // A separate page crops the pictures, because a browser has a PNG codec and Node has none.
  const bench = await page.context().newPage()
  const frames: AnimationFrame[] = []
  let previous: string | null = null

  return {
    async frame(delayMs) {
      const shot = (await page.screenshot({ caret: "hide" })).toString("base64")
      const cut = await bench.evaluate(cutToChange, { before: previous, after: shot })
      previous = shot
      const last = frames.at(-1)
      if (cut === null && last !== undefined)
        frames[frames.length - 1] = { ...last, delayMs: last.delayMs + delayMs }
      else if (cut !== null) frames.push({ png: Buffer.from(cut.png, "base64"), x: cut.x, y: cut.y, delayMs })
    },
    async finish() {
      await bench.close()
      return joinPngs(frames)
    },
  }
}

/** Runs in the page, so it may contain no named functions: the loader would wrap them. Null when nothing changed. */
async function cutToChange({ before, after }: { before: string | null; after: string }): Promise<Cut | null> {
  const [now, old] = await Promise.all(
    [after, before ?? after].map(async (png) => {
      const image = new Image()
      image.src = `data:image/png;base64,${png}`
      await image.decode()
      const canvas = document.createElement("canvas")
      canvas.width = image.width
      canvas.height = image.height
      const context = canvas.getContext("2d")
      context?.drawImage(image, 0, 0)
      return context
    }),
  )
  if (!now || !old) throw new Error("This browser draws no pictures")
  const { width, height } = now.canvas
  let [left, top, right, bottom] = [0, 0, width, height]
  if (before !== null) {
    ;[left, top, right, bottom] = [width, height, 0, 0]
    const past = new Uint32Array(old.getImageData(0, 0, width, height).data.buffer)
    const fresh = new Uint32Array(now.getImageData(0, 0, width, height).data.buffer)
    for (let index = 0; index < fresh.length; index++) {
      if (past[index] === fresh[index]) continue
      const [x, y] = [index % width, Math.floor(index / width)]
      left = Math.min(left, x)
      right = Math.max(right, x + 1)
      top = Math.min(top, y)
      bottom = Math.max(bottom, y + 1)
    }
    if (right <= left) return null
  }
  const canvas = document.createElement("canvas")
  canvas.width = right - left
  canvas.height = bottom - top
  canvas.getContext("2d")?.drawImage(now.canvas, -left, -top)
  return { x: left, y: top, png: canvas.toDataURL("image/png").split(",")[1] ?? "" }
}
