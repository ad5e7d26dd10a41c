import type { RxPlugin } from "rxdb"
import { addRxPlugin } from "rxdb/plugins/core"

/** What a hook of RxDB reads: something for each object that RxDB calls it about. */
export type HookState<Value> = WeakMap<object, Value>

/**
 * The state of a plugin that is added when first asked for. RxDB's hooks are those of the process: two copies of RxDB or of this
 * package in it must not register them twice, so they share what stands under `registry`.
 */
export function processPlugin<Value>(
  registry: symbol,
  pluginOf: (state: HookState<Value>) => RxPlugin,
): HookState<Value> {
  const scope = globalThis as { [registry: symbol]: HookState<Value> | undefined }
  const known = scope[registry]
  if (known !== undefined) return known
  const state: HookState<Value> = new WeakMap()
  scope[registry] = state
  addRxPlugin(pluginOf(state))
  return state
}
