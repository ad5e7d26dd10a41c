import type { Room } from "@dunlin/core"
import { createElement, useEffect, useRef, useState, type ReactNode } from "react"
import { RoomContext } from "./room-context.ts"
import { RoomProviderError } from "./room-provider-error.ts"

/** Either a room that is open already, or a way to open one. */
export type RoomProviderProps = { readonly children?: ReactNode } & (
  | {
      /** A room that the application opened and closes itself; null while there is none. */
      readonly room: Room | null
    }
  | {
      /**
       * Opens the room on mount; the provider closes it on unmount. Give it a stable identity (module scope or
       * `useCallback`): another function means another room. A failure is thrown to the nearest error boundary. It must
       * settle soon after its signal aborts: the next provider waits 30 seconds for that, then throws a `RoomProviderError`.
       */
      readonly open: OpenRoom
    }
)

type OpenRoom = (signal: AbortSignal) => Promise<Room>

/** Makes a room known to the hooks below it. They work without one: empty lists, no peers. */
export function RoomProvider(props: RoomProviderProps): ReactNode {
  const opened = useOpenedRoom("open" in props ? props.open : null)
  return createElement(RoomContext.Provider, { value: "open" in props ? opened : props.room }, props.children)
}

/** When what unmounted providers opened by a function is closed: the next one may be in another place of the tree. */
const closedByOpen = new WeakMap<OpenRoom, Promise<unknown>>()

/** Rooms close within seconds: what is still there then is a function that does not heed its signal. */
const FORMER_LIMIT_MS = 30_000

type Opening = { readonly room: Room | null } | { readonly error: unknown }

function useOpenedRoom(open: OpenRoom | null): Room | null {
  const [opening, setOpening] = useState<Opening>({ room: null })
  const previous = useRef<Promise<unknown>>(null)
  useEffect(() => {
    if (open === null) return
    const controller = new AbortController()
    // StrictMode mounts twice. The second room waits until the first is closed, or a replica would be in two.
    const former = Promise.allSettled([previous.current, closedByOpen.get(open)])
    const room = endOf(former, controller.signal).then(() =>
      controller.signal.aborted ? null : open(controller.signal),
    )
    room.then(
      (value) => !controller.signal.aborted && setOpening({ room: value }),
      (error: unknown) => !controller.signal.aborted && setOpening({ error }),
    )
    return () => {
      controller.abort(new DOMException("The RoomProvider was unmounted", "AbortError"))
      setOpening({ room: null })
      // What failed to open, or cannot be closed, must not keep the next one from opening: hence settled.
      const closed = room.then((value) => value?.close())
      // Without the results, each of which would hold the one before.
      previous.current = Promise.allSettled([former, closed, closedByOpen.get(open)]).then(() => undefined)
      closedByOpen.set(open, previous.current)
    }
  }, [open])
  if ("error" in opening) throw opening.error
  return opening.room
}

/** Waits no longer than the provider is mounted. */
function endOf(former: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const seconds = FORMER_LIMIT_MS / 1000
      const message = `the room of a RoomProvider that was unmounted is not closed after ${seconds} s: its "open" must settle when its signal aborts`
      reject(new RoomProviderError("former-room-open", message))
    }, FORMER_LIMIT_MS)
    const settle = (): void => {
      clearTimeout(timer)
      resolve()
    }
    signal.addEventListener("abort", settle, { once: true })
    void former.then(settle)
  })
}
