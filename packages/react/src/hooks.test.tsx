// @vitest-environment happy-dom
import { createInvite, memoryIdentity, openRoom, type Replica, type Room } from "@dunlin/core"
import { createMemoryNetwork } from "@dunlin/core/testing"
import { act, cleanup, render, renderHook, screen, waitFor } from "@testing-library/react"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Component, createRef, StrictMode, type ReactNode } from "react"
import { afterEach, describe, expect, it, vi } from "vitest"
import { RoomProvider, RoomProviderError, usePeers, usePresence, useRoom, useSyncStatus } from "./index.ts"

const opened: Room[] = []
afterEach(async () => {
  vi.useRealTimers()
  cleanup()
  await Promise.all(opened.splice(0).map((room) => room.close()))
})

function createRooms(): () => Promise<Room> {
  const network = createMemoryNetwork()
  const invite = createInvite()
  return async () => {
    const room = await openRoom({
      invite,
      transports: [network.transport({ bound: true })],
      identity: memoryIdentity(),
    })
    opened.push(room)
    return room
  }
}

function around(room: Room | null): ({ children }: { readonly children: ReactNode }) => ReactNode {
  return ({ children }) => (
    <StrictMode>
      <RoomProvider room={room}>{children}</RoomProvider>
    </StrictMode>
  )
}

describe("hooks of a room", () => {
  it("work before there is a room", () => {
    const { result } = renderHook(() => [useRoom(), usePeers(), useSyncStatus(), usePresence().others.size], {
      wrapper: around(null),
    })
    expect(result.current).toEqual([null, [], null, 0])
  })

  it("say where the provider is missing", () => {
    for (const hook of [useRoom, usePeers, usePresence, useSyncStatus]) {
      const failure = expect.objectContaining({ name: "RoomProviderError", code: "no-provider" })
      expect(() => renderHook(() => hook())).toThrow(failure)
    }
  })

  it("follow peers, status and presence", async () => {
    const open = createRooms()
    const ada = await open()
    const { result } = renderHook(
      () => ({ peers: usePeers(), status: useSyncStatus(), presence: usePresence() }),
      {
        wrapper: around(ada),
      },
    )
    expect(result.current.peers).toEqual([])
    const ben = await open()
    ben.presence.set({ name: "Ben" })
    await waitFor(() => expect(result.current.peers).toHaveLength(1), { timeout: 10_000 })
    await waitFor(
      () => expect(result.current.presence.others.get(ben.session)?.value).toEqual({ name: "Ben" }),
      {
        timeout: 10_000,
      },
    )
    expect(result.current.status?.phase).toBe("connected")
    act(() => result.current.presence.setField("name", "Ada"))
    await waitFor(() => expect(ben.presence.others.get().get(ada.session)?.value).toEqual({ name: "Ada" }), {
      timeout: 10_000,
    })
    await act(() => ben.close())
    await waitFor(() => expect(result.current.peers).toEqual([]), { timeout: 10_000 })
  })

  it("keep the setters of presence the same, so that effects do not run again", async () => {
    const ada = await createRooms()()
    const { result, rerender } = renderHook(() => usePresence(), { wrapper: around(ada) })
    const { set, setField } = result.current
    act(() => set({ name: "Ada" }))
    rerender()
    expect([result.current.set, result.current.setField]).toEqual([set, setField])
  })
})

class Boundary extends Component<{ readonly children: ReactNode }, { readonly failure: Error | null }> {
  override state = { failure: null as Error | null }
  static getDerivedStateFromError(failure: Error): { readonly failure: Error } {
    return { failure }
  }
  override render(): ReactNode {
    return this.state.failure?.message ?? this.props.children
  }
}

describe("RoomProvider that opens the room", () => {
  function Session(): ReactNode {
    return <p>{useRoom()?.session ?? "none"}</p>
  }

  it("has one open room at a time in StrictMode and closes it at the end", async () => {
    const open = createRooms()
    const rooms: Room[] = []
    let most = 0
    const openCounted = async (): Promise<Room> => {
      const room = await open()
      rooms.push(room)
      most = Math.max(most, rooms.filter((one) => one.status.get().phase !== "closed").length)
      return room
    }
    const view = render(
      <StrictMode>
        <RoomProvider open={openCounted}>
          <Session />
        </RoomProvider>
      </StrictMode>,
    )
    await waitFor(() => expect(screen.queryByText("none")).toBeNull(), { timeout: 10_000 })
    expect(most).toBe(1)
    view.unmount()
    await waitFor(() => expect(rooms.every((room) => room.status.get().phase === "closed")).toBe(true), {
      timeout: 10_000,
    })
  })

  it("waits for the room of another provider that was unmounted just before", async () => {
    const openAlone = createRooms()
    let inUse = 0
    let most = 0
    const slow: Replica<string> = {
      name: "things",
      kind: 200,
      schemaTag: "1",
      direction: "both",
      async attach() {
        most = Math.max(most, ++inUse)
        return {
          handle: "the handle",
          async *scan() {},
          loadIndex: () => Promise.resolve(null),
          saveIndex: () => Promise.resolve(),
          summarize: () => Promise.resolve([]),
          read: () => Promise.resolve([]),
          join: () => Promise.resolve([]),
          async detach() {
            await new Promise((resolve) => setTimeout(resolve, 50))
            inUse--
          },
        }
      },
    }
    const open = async (): Promise<Room> => {
      const room = await openAlone()
      await room.replicate(slow)
      return room
    }
    const place = (key: string): ReactNode => (
      <StrictMode>
        <RoomProvider open={open} key={key}>
          <Session />
        </RoomProvider>
      </StrictMode>
    )
    const view = render(place("one"))
    for (const key of ["two", "three"]) {
      await waitFor(() => expect(screen.queryByText("none")).toBeNull(), { timeout: 10_000 })
      view.rerender(place(key))
    }
    await waitFor(() => expect(screen.queryByText("none")).toBeNull(), { timeout: 10_000 })
    expect(most).toBe(1)
  })

  it("is open in a tab whose replica stands by for another", async () => {
    const openRoomAlone = createRooms()
    const waiting: Replica<string> = {
      name: "things",
      kind: 200,
      schemaTag: "1",
      direction: "both",
      attach: (_, { signal, standBy } = {}) =>
        new Promise((__, reject) => {
          signal?.addEventListener("abort", () => reject(signal.reason))
          standBy?.({ handle: "the handle", synced: () => Promise.resolve() })
        }),
    }
    const handles: string[] = []
    const open = async (): Promise<Room> => {
      const room = await openRoomAlone()
      handles.push(await room.replicate(waiting))
      return room
    }
    const view = render(
      <RoomProvider open={open}>
        <Session />
      </RoomProvider>,
    )
    await waitFor(() => expect(screen.queryByText("none")).toBeNull(), { timeout: 10_000 })
    expect(handles).toEqual(["the handle"])
    view.unmount()
    await waitFor(() => expect(opened.every((room) => room.status.get().phase === "closed")).toBe(true), {
      timeout: 10_000,
    })
  })

  it("closes a room that opens after the provider is gone", async () => {
    const open = createRooms()
    const opening: { answer: (room: Room) => void } = { answer: () => undefined }
    const view = render(
      <RoomProvider open={() => new Promise<Room>((resolve) => (opening.answer = resolve))}>
        <Session />
      </RoomProvider>,
    )
    await waitFor(() => expect(opening.answer).not.toHaveLength(0))
    view.unmount()
    const late = await open()
    opening.answer(late)
    await waitFor(() => expect(late.status.get().phase).toBe("closed"), { timeout: 10_000 })
  })

  it("hands a failure to the error boundary", async () => {
    const open = (): Promise<Room> => openRoom({ invite: "broken", transports: [] })
    render(
      <Boundary>
        <RoomProvider open={open}>
          <Session />
        </RoomProvider>
      </Boundary>,
    )
    await screen.findByText(/no invite/i, {}, { timeout: 10_000 })
  })
  it("opens the next room also when the one before cannot be closed", async () => {
    const open = createRooms()
    const broken = async (): Promise<Room> => {
      const room = await open()
      return { ...room, close: () => room.close().then(() => Promise.reject(new Error("stuck"))) }
    }
    const view = render(
      <RoomProvider open={broken}>
        <Session />
      </RoomProvider>,
    )
    await waitFor(() => expect(screen.queryByText("none")).toBeNull(), { timeout: 10_000 })
    const next = { room: null as Room | null }
    view.rerender(
      <RoomProvider open={async () => (next.room ??= await open())}>
        <Session />
      </RoomProvider>,
    )
    await waitFor(() => expect(screen.queryByText(next.room?.session ?? "")).not.toBeNull(), {
      timeout: 10_000,
    })
  })

  it("waits thirty seconds for the room of a function that never answers, then says so, and opens one once it has", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
    const former: { answer: (room: Room) => void } = { answer: () => undefined }
    const calls: AbortSignal[] = []
    const openNext = createRooms()
    const open = (signal: AbortSignal): Promise<Room> => {
      calls.push(signal)
      return calls.length > 1 ? openNext() : new Promise<Room>((resolve) => (former.answer = resolve))
    }
    const boundary = createRef<Boundary>()
    const place = (key: string): ReactNode => (
      <Boundary ref={boundary} key={key}>
        <RoomProvider open={open}>
          <Session />
        </RoomProvider>
      </Boundary>
    )
    const view = render(place("one"))
    await act(() => vi.advanceTimersByTimeAsync(0))
    for (const key of ["two", "three"]) {
      view.rerender(place(key))
      await act(() => vi.advanceTimersByTimeAsync(29_999))
      expect(boundary.current?.state.failure).toBeNull()
      await act(() => vi.advanceTimersByTimeAsync(1))
      expect(boundary.current?.state.failure).toBeInstanceOf(RoomProviderError)
      expect(boundary.current?.state.failure).toMatchObject({ code: "former-room-open" })
    }
    expect(calls).toHaveLength(1)
    expect(calls[0]?.aborted).toBe(true)

    view.rerender(place("four"))
    await act(() => vi.advanceTimersByTimeAsync(1000))
    expect(calls).toHaveLength(1)
    vi.useRealTimers()
    const late = await createRooms()()
    former.answer(late)
    await waitFor(() => expect(calls).toHaveLength(2), { timeout: 10_000 })
    expect(late.status.get().phase).toBe("closed")
    await waitFor(() => expect(screen.queryByText("none")).toBeNull(), { timeout: 10_000 })
  })

  it("waits for a former room also where it was given another function in between", async () => {
    const openStuck = (): Promise<Room> => new Promise(() => {})
    const calls: string[] = []
    const opening = (name: string): (() => Promise<Room>) => {
      const open = createRooms()
      return () => {
        calls.push(name)
        return open()
      }
    }
    const place = (open: () => Promise<Room>): ReactNode => (
      <RoomProvider open={open}>
        <Session />
      </RoomProvider>
    )
    const view = render(place(openStuck))
    await act(() => Promise.resolve())
    for (const name of ["b", "c"]) view.rerender(place(opening(name)))
    for (let turn = 0; turn < 50; turn++) await act(() => Promise.resolve())
    expect(calls).toEqual([])
  })

  it("holds nothing of a room that it has closed, however often the next one is opened", async () => {
    setFlagsFromString("--expose-gc")
    const collect = runInNewContext("gc") as () => void
    const open = createRooms()
    const results: WeakRef<object>[] = []
    const openWatched = async (): Promise<Room> => {
      const room = await open()
      const close = async (): Promise<void> => {
        await room.close()
        const result = {}
        results.push(new WeakRef(result))
        // Typed as undefined; the provider must hold it no longer than that.
        return result as unknown as undefined
      }
      return { ...room, close }
    }
    const place = (key: string): ReactNode => (
      <RoomProvider open={openWatched} key={key}>
        <Session />
      </RoomProvider>
    )
    const view = render(place("0"))
    for (let round = 1; round <= 3; round++) {
      await waitFor(() => expect(screen.queryByText("none")).toBeNull(), { timeout: 10_000 })
      view.rerender(place(String(round)))
    }
    await waitFor(() => expect(results).toHaveLength(3), { timeout: 10_000 })
    await waitFor(
      () => {
        collect()
        expect(results.map((result) => result.deref())).toEqual([undefined, undefined, undefined])
      },
      { timeout: 10_000 },
    )
  })
})
