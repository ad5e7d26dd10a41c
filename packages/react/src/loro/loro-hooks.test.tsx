// @vitest-environment happy-dom
import { createInvite, memoryIdentity, openRoom, type Room } from "@dunlin/core"
import {
  type DocumentStore,
  type LoroDocuments,
  loroReplica,
  type MemoryStore,
  memoryStore,
} from "@dunlin/loro"
import { act, cleanup, render, renderHook, screen, waitFor } from "@testing-library/react"
import { LoroDoc } from "loro-crdt"
import { StrictMode, type ReactNode } from "react"
import { afterEach, describe, expect, it, vi } from "vitest"
import { useLoroDoc, useText } from "./index.ts"

const rooms: Room[] = []
afterEach(async () => {
  cleanup()
  await Promise.all(rooms.splice(0).map((room) => room.close()))
})

async function openDocuments(store: DocumentStore = memoryStore()): Promise<LoroDocuments> {
  const room = await openRoom({ invite: createInvite(), transports: [], identity: memoryIdentity() })
  rooms.push(room)
  return room.replicate(loroReplica({ name: "notes", store }))
}

describe("useLoroDoc", () => {
  it("waits for the documents, then opens one", async () => {
    const documents = await openDocuments()
    const { result, rerender } = renderHook(
      ({ from }: { from: LoroDocuments | null | undefined }) => useLoroDoc(from, "welcome"),
      {
        initialProps: { from: null as LoroDocuments | null | undefined },
        wrapper: StrictMode,
      },
    )
    expect(result.current.status).toBe("loading")
    // What a map of documents by room says before the room's are in it.
    rerender({ from: undefined })
    expect(result.current.status).toBe("loading")
    rerender({ from: documents })
    await waitFor(() => expect(result.current.status).toBe("open"))
    if (result.current.status === "open") result.current.doc.getText("body").insert(0, "Hello, flock!")
    await using again = await documents.open("welcome")
    expect(again.doc.getText("body").toString()).toBe("Hello, flock!")
  })

  it("never shows the document of another id", async () => {
    const documents = await openDocuments()
    await using first = await documents.open("a")
    first.doc.getText("body").insert(0, "text of a")
    const seen: string[] = []
    const { result, rerender } = renderHook(
      ({ id }) => {
        const opened = useLoroDoc(documents, id)
        if (opened.status === "open" && opened.document.id !== id) seen.push(opened.document.id)
        return opened
      },
      { initialProps: { id: "a" } },
    )
    await waitFor(() => expect(result.current.status).toBe("open"))
    rerender({ id: "b" })
    expect(result.current.status).toBe("loading")
    await waitFor(() => expect(result.current.status).toBe("open"))
    expect(seen).toEqual([])
  })

  it("says that a document was deleted, and that one could not be opened", async () => {
    const documents = await openDocuments()
    const { result } = renderHook(() => useLoroDoc(documents, "a"))
    await waitFor(() => expect(result.current.status).toBe("open"))
    await act(() => documents.delete("a"))
    await waitFor(() => expect(result.current.status).toBe("deleted"))
    const invalid = renderHook(() => useLoroDoc(documents, ""))
    await waitFor(() => expect(invalid.result.current.status).toBe("failed"))
  })
})

describe("a document that closes while it is shown", () => {
  it("is gone from the hook as soon as it can no longer be read", async () => {
    const documents = await openDocuments()
    const { result, rerender } = renderHook(() => useLoroDoc(documents, "a"))
    await waitFor(() => expect(result.current.status).toBe("open"))
    if (result.current.status !== "open") return
    const { document } = result.current
    document.doc.getText("body").insert(0, "takes a while to be stored")
    let closed: Promise<void> | undefined
    act(() => void (closed = document.close()))
    rerender()
    expect(result.current.status).toBe("loading")
    await closed
  })
})

describe("a document that cannot be read from its store", () => {
  /** A closed store whose document "a" holds two updates, the second of them damaged; and an export of the whole. */
  async function damagedStore(): Promise<{ readonly store: MemoryStore; readonly whole: Uint8Array }> {
    const store = memoryStore()
    const room = await openRoom({ invite: createInvite(), transports: [], identity: memoryIdentity() })
    const documents = await room.replicate(loroReplica({ name: "notes", store }))
    await using document = await documents.open("a")
    for (const text of ["one ", "two"]) {
      document.doc.getText("body").push(text)
      await document.saved()
    }
    const whole = await documents.export("a")
    await room.close()
    await damage(store)
    return { store, whole }
  }

  async function damage(store: MemoryStore): Promise<void> {
    const raw = await store.open()
    const { log } = await raw.load("a")
    await raw.commit({
      logs: log.slice(-1).map(({ sequence }) => ({ id: "a", sequence, bytes: new Uint8Array(9) })),
    })
    await raw.close()
  }

  it("gives a typed error, and is shown as soon as it can be opened", async () => {
    const { store, whole } = await damagedStore()
    const documents = await openDocuments(store)
    const { result } = renderHook(() => useLoroDoc(documents, "a"), { wrapper: StrictMode })
    await waitFor(() => expect(result.current.status).toBe("failed"))
    expect(result.current).toMatchObject({ error: { name: "LoroReplicaError", code: "document-corrupt" } })
    await act(() => documents.import("a", whole))
    await waitFor(() => expect(result.current.status).toBe("open"))
    if (result.current.status === "open") {
      expect(result.current.doc.getText("body").toString()).toBe("one two")
    }
  })

  it("gives that error too when it was open and is read again", async () => {
    const store = memoryStore()
    const documents = await openDocuments(store)
    const { result } = renderHook(() => useLoroDoc(documents, "a"))
    await waitFor(() => expect(result.current.status).toBe("open"))
    if (result.current.status !== "open") return
    const { document } = result.current
    document.doc.getText("body").insert(0, "one")
    await document.saved()
    const whole = await documents.export("a")
    await damage(store)
    // As after a fault inside Loro: an error thrown here makes the replica read the document again.
    const doc = document.doc
    vi.spyOn(doc, "getPendingTxnLength").mockImplementation(() => {
      throw new WebAssembly.RuntimeError("unreachable")
    })
    act(() => document.commit())
    await waitFor(() => expect(result.current.status).toBe("failed"))
    expect(result.current).toMatchObject({ error: { code: "document-corrupt" } })
    await act(() => documents.import("a", whole))
    await waitFor(() => expect(result.current.status).toBe("open"))
  })

  it("says that its room was closed", async () => {
    const documents = await openDocuments()
    const { result } = renderHook(() => useLoroDoc(documents, "a"))
    await waitFor(() => expect(result.current.status).toBe("open"))
    await act(async () => void (await rooms.pop()?.close()))
    await waitFor(() => expect(result.current).toMatchObject({ status: "failed", error: { code: "closed" } }))
  })
})

describe("useText", () => {
  function Field({ doc }: { readonly doc: LoroDoc }): ReactNode {
    const { value, ref } = useText(doc, "body")
    return (
      <>
        <textarea ref={ref} aria-label="Body" />
        <output>{value}</output>
      </>
    )
  }

  it("makes a string of the text once for each change, however often React reads", async () => {
    await using document = await (await openDocuments()).open("long")
    const text = document.doc.getText("body")
    const toString = vi.spyOn(Object.getPrototypeOf(text) as typeof text, "toString")
    const { result, rerender } = renderHook(() => useText(document, "body").value)
    toString.mockClear()
    for (let turn = 0; turn < 5; turn++) rerender()
    expect(toString).not.toHaveBeenCalled()
    act(() => {
      text.insert(0, "Hello")
      document.doc.commit()
    })
    await waitFor(() => expect(result.current).toBe("Hello"))
    expect(toString.mock.calls.length).toBe(1)
    toString.mockRestore()
  })

  it("follows the text and writes what is typed, in StrictMode", async () => {
    const doc = new LoroDoc()
    doc.getText("body").insert(0, "abc")
    doc.commit()
    const view = render(
      <StrictMode>
        <Field doc={doc} />
      </StrictMode>,
    )
    const field = screen.getByLabelText<HTMLTextAreaElement>("Body")
    expect(field.value).toBe("abc")
    act(() => {
      doc.getText("body").insert(3, "d")
      doc.commit()
    })
    expect(field.value).toBe("abcd")
    act(() => {
      field.value = "abXcd"
      field.setSelectionRange(3, 3)
      field.dispatchEvent(new InputEvent("input", { bubbles: true }))
    })
    expect(doc.getText("body").toString()).toBe("abXcd")
    await waitFor(() => expect(screen.getByText("abXcd", { selector: "output" })).toBeDefined())
    view.unmount()
    field.value = "after unmount"
    field.dispatchEvent(new InputEvent("input", { bubbles: true }))
    expect(doc.getText("body").toString()).toBe("abXcd")
  })
  it("shows the text as it was last when the document is closed under it", async () => {
    const document = await (await openDocuments()).open("a")
    const text = document.doc.getText("body")
    text.insert(0, "Hello")
    document.commit()
    const { result, rerender } = renderHook(() => useText(document, "body").value)
    expect(result.current).toBe("Hello")
    await act(() => document.close())
    rerender()
    expect(result.current).toBe("Hello")
  })
})
