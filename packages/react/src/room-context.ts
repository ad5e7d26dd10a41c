import type { Room } from "@dunlin/core"
import { createContext, useContext, type Context } from "react"

export const RoomContext: Context<Room | null | undefined> = createContext<Room | null | undefined>(undefined)

/** The room of the nearest `RoomProvider`; null until it is open. Throws outside a provider. */
export function useRoom(): Room | null {
  const room = useContext(RoomContext)
  if (room === undefined) throw new Error("useRoom needs a <RoomProvider> above it in the tree")
  return room
}
