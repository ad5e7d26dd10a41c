import type { RxCollection, RxPlugin } from "rxdb"
import { replicateWebRTC } from "./replicate-webrtc.ts"
import type { RxWebRTCReplicationPool } from "./replication-pool.ts"
import type { SyncOptionsWebRTC } from "./sync-options.ts"

/** The options of `replicateWebRTC`, without the collection on which the method is called. */
export type CollectionSyncOptionsWebRTC<RxDocType, PeerType> = Omit<
  SyncOptionsWebRTC<RxDocType, PeerType>,
  "collection"
>

/** Adds `collection.syncWebRTC(options)`: `addRxPlugin(DunlinWebRTCPlugin)`. */
export const DunlinWebRTCPlugin: RxPlugin = {
  name: "dunlin-sync-webrtc",
  rxdb: true,
  prototypes: {
    RxCollection(prototype: object) {
      Object.assign(prototype, {
        syncWebRTC(
          this: RxCollection,
          options: CollectionSyncOptionsWebRTC<unknown, unknown>,
        ): Promise<RxWebRTCReplicationPool<unknown, unknown>> {
          return replicateWebRTC({ ...options, collection: this })
        },
      })
    },
  },
}

/** A collection with the method that the plugin adds. */
export type WithSyncWebRTC<Collection> = Collection & {
  syncWebRTC<PeerType>(
    options: CollectionSyncOptionsWebRTC<DocumentOf<Collection>, PeerType>,
  ): Promise<RxWebRTCReplicationPool<DocumentOf<Collection>, PeerType>>
}

type DocumentOf<Collection> =
  Collection extends RxCollection<infer RxDocType, infer _Methods, infer _Statics> ? RxDocType : unknown
