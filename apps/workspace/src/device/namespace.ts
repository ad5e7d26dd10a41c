/**
 * Storage names of this "device". Two frames of the split-screen demo share an origin but act as two devices:
 * `?device=b` keeps everything they store apart.
 */
export const deviceName: string = readDeviceName(globalThis.location?.search ?? "")

function readDeviceName(search: string): string {
  const name = new URLSearchParams(search).get("device") ?? ""
  return /^[a-z0-9]{1,12}$/.test(name) ? name : ""
}

export function storageName(name: string): string {
  return deviceName === "" ? `dunlin-${name}` : `dunlin-${deviceName}-${name}`
}
