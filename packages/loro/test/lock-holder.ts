import { lockPath } from "../src/lmdb/path-lock.ts"

/** Holds the lock of a directory until it is killed. */
await lockPath(process.argv[2] ?? "")
process.stdout.write("held")
setInterval(() => undefined, 1_000)
