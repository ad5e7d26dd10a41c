export { lmdbStore, type LmdbStoreOptions } from "./lmdb-store.ts"
