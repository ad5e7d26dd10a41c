export { tabs } from "./tabs.ts"
