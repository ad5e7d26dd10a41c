import { Fragment, useLayoutEffect, useRef, type KeyboardEvent } from "react"
import { Avatar } from "../ui/avatar.tsx"
import { changeWords, countWords, dayWords, spanWords, writerWords } from "./step-words.ts"
import type { Writer } from "./use-writers.ts"
import type { ListedStep } from "./versions.ts"

export interface HistoryListProps {
  readonly steps: readonly ListedStep[]
  readonly openIndex: number
  readonly writerOf: (author: string) => Writer
  readonly hasMore: boolean
  readonly open: (step: ListedStep) => void
  readonly showMore: () => void
}

/** Who wrote when, newest first. The arrow keys move through the list and open each step they reach. */
export function HistoryList({ steps, openIndex, writerOf, hasMore, open, showMore }: HistoryListProps) {
  const list = useRef<HTMLDivElement>(null)
  const wantsFocus = useRef<number | null>(null)
  useLayoutEffect(() => {
    if (wantsFocus.current === null) return
    rowsOf(list.current)[wantsFocus.current]?.focus()
    wantsFocus.current = null
  }, [steps])

  function move(event: KeyboardEvent<HTMLDivElement>): void {
    const rows = rowsOf(list.current)
    const at = rows.indexOf(document.activeElement as HTMLElement)
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key]
    const step = next === undefined ? undefined : steps[next]
    if (at < 0 || next === undefined || step === undefined) return
    event.preventDefault()
    rows[next]?.focus()
    open(step)
  }

  return (
    // The keys are handled for the buttons inside.
    // oxlint-disable-next-line jsx-a11y/no-static-element-interactions
    <div ref={list} className="history-steps" onKeyDown={move}>
      {daysOf(steps).map(({ day, steps: ofDay }) => (
        <Fragment key={day}>
          <h3>{day}</h3>
          <ol aria-label={day}>
            {ofDay.map((step) => (
              <li key={step.index}>
                <StepRow step={step} isNewest={step === steps[0]} isOpen={step.index === openIndex} writers={step.authors.map(writerOf)} open={() => open(step)} />
              </li>
            ))}
          </ol>
        </Fragment>
      ))}
      {hasMore && (
        <button
          type="button"
          className="button history-more"
          onClick={() => {
            // The button moves down or disappears: the focus goes to the first step that is added in its place.
            wantsFocus.current = steps.length
            showMore()
          }}
        >
          Show older
        </button>
      )}
    </div>
  ) // prettier-ignore
}

interface StepRowProps {
  readonly step: ListedStep
  readonly isNewest: boolean
  readonly isOpen: boolean
  readonly writers: readonly Writer[]
  readonly open: () => void
}

function StepRow({ step, isNewest, isOpen, writers, open }: StepRowProps) {
  const { added, removed } = step.change
  return (
    <button type="button" className="history-step" aria-current={isOpen ? "true" : undefined} tabIndex={isOpen ? 0 : -1} onClick={open}>
      <span className="avatars">
        {writers.slice(0, 2).map(({ name, hue }, index) => (
          <Avatar key={index} name={name} hue={hue} />
        ))}
      </span>
      <span className="history-line">
        <span className="history-who">{writerWords(writers)}</span>
        <span className="history-when soft numbers">
          {isNewest && <strong>Now</strong>}
          {spanWords(step)}
        </span>
      </span>
      <span className="history-line soft">
        <span className="history-what">{changeWords(step)}</span>
        <span className="history-counts numbers" aria-label={countWords(step.change)} role="img">
          {added > 0 && <span>+{added.toLocaleString("en")}</span>}
          {removed > 0 && <span>−{removed.toLocaleString("en")}</span>}
        </span>
      </span>
    </button>
  ) // prettier-ignore
}

function rowsOf(list: HTMLElement | null): readonly HTMLElement[] {
  return [...(list?.querySelectorAll<HTMLElement>(".history-step") ?? [])]
}

interface Day {
  readonly day: string
  readonly steps: readonly ListedStep[]
}

/**
 * A wrong clock may make a day come up twice. Its heading is shown once, where it comes first. The steps keep their
 * order, so a later step of that day stands under the heading before it.
 */
function daysOf(steps: readonly ListedStep[]): readonly Day[] {
  const days: { day: string; steps: ListedStep[] }[] = []
  for (const step of steps) {
    const day = dayWords(step)
    if (days.some((known) => known.day === day)) days.at(-1)?.steps.push(step)
    else days.push({ day, steps: [step] })
  }
  return days
} // prettier-ignore
