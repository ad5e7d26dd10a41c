// What the harness's own tests run in a child process.

export function double(bytes: Uint8Array): Uint8Array {
  console.log("doubling")
  return Uint8Array.of(...bytes, ...bytes)
}

export function refuse(): never {
  throw new Error("not today")
}

export function never(): Promise<never> {
  return new Promise(() => undefined)
}

/** Blocks for ever and answers nothing, as native code does in a deadlock. */
export function standStill(): void {
  for (;;);
}

export function facts(): { readonly mood: string } {
  return { mood: "waiting" }
}
