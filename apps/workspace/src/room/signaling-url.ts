/** The server that the page names, as set by whoever serves it; otherwise the one at this address. */
export function signalingUrl(): string {
  const named = document.querySelector<HTMLMetaElement>('meta[name="dunlin-signaling"]')?.content ?? ""
  const url = new URL(named === "" ? "/signal" : named, location.href)
  url.protocol = url.protocol.replace("http", "ws")
  url.hash = ""
  url.search = ""
  return url.href
}
