/**
 * One set of connections for all tabs of a browser.
 *
 * @module @dunlin/core/tabs
 */
export { tabs } from "./tabs.ts"
