import type { RxCollection, RxPlugin } from "rxdb"
import {
  replicateWebRTC,
  type ReplicateWebRtcOptions,
  type WebRTCReplicationPool,
} from "./replicate-webrtc.ts"

/** The options of `replicateWebRTC`, without the collection on which the method is called. */
export type SyncWebRtcOptions<PeerType = never> = Omit<ReplicateWebRtcOptions<PeerType>, "collection">

/** Adds `collection.syncWebRTC(options)`: `addRxPlugin(DunlinWebRTCPlugin)`. */
export const DunlinWebRTCPlugin: RxPlugin = {
  name: "dunlin-sync-webrtc",
  rxdb: true,
  prototypes: {
    RxCollection(prototype: object) {
      Object.assign(prototype, {
        syncWebRTC(this: RxCollection, options: SyncWebRtcOptions): Promise<WebRTCReplicationPool> {
          return replicateWebRTC({ ...options, collection: this })
        },
      })
    },
  },
}

/** A collection on which the plugin has put its method. */
export type WithSyncWebRTC<Collection> = Collection & {
  syncWebRTC<PeerType = never>(options: SyncWebRtcOptions<PeerType>): Promise<WebRTCReplicationPool>
}
