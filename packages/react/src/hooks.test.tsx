// @vitest-environment happy-dom
import { createInvite, memoryIdentity, openRoom, type Replica, type Room } from "@dunlin/core"
import { createMemoryNetwork } from "@dunlin/core/testing"
import { act, cleanup, render, renderHook, screen, waitFor } from "@testing-library/react"
import { Component, StrictMode, type ReactNode } from "react"
import { afterEach, describe, expect, it } from "vitest"
import { RoomProvider, usePeers, usePresence, useRoom, useSyncStatus } from "./index.ts"

const opened: Room[] = []
afterEach(async () => {
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
    expect(() => renderHook(() => useRoom())).toThrow("<RoomProvider>")
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
    class Boundary extends Component<{ readonly children: ReactNode }, { readonly failure: string }> {
      override state = { failure: "" }
      static getDerivedStateFromError(error: Error): { readonly failure: string } {
        return { failure: error.message }
      }
      override render(): ReactNode {
        return this.state.failure === "" ? this.props.children : this.state.failure
      }
    }
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
})
