import react from "@vitejs/plugin-react"
import { defineConfig, type Plugin } from "vite"
import { VitePWA } from "vite-plugin-pwa"

export default defineConfig({
  plugins: [
    react(),
    preloadFonts(),
    VitePWA({
      // The page itself registers the worker, under its Trusted Types policy.
      injectRegister: false,
      registerType: "prompt",
      workbox: {
        globPatterns: ["**/*.{js,css,html,svg,png,woff2,wasm,webmanifest}"],
        // Loro's WASM is 3.6 MB; unless it is cached, the offline app could not open a document.
        maximumFileSizeToCacheInBytes: 6_000_000,
        navigateFallback: "/index.html",
        navigateFallbackDenylist: [/^\/signal/],
        cleanupOutdatedCaches: true,
        clientsClaim: true,
        inlineWorkboxRuntime: true,
      },
      manifest: {
        name: "Dunlin workspace",
        short_name: "Dunlin",
        description:
          "Documents, a board and a note that live on your devices and sync directly between them.",
        start_url: "/",
        display: "standalone",
        background_color: "#fcfbf8",
        theme_color: "#f4f1eb",
        icons: [
          { src: "/icon-192.png", sizes: "192x192", type: "image/png" },
          { src: "/icon-512.png", sizes: "512x512", type: "image/png" },
          { src: "/icon.svg", sizes: "any", type: "image/svg+xml", purpose: "any" },
        ],
      },
    }),
  ],
  resolve: {
    conditions: ["@dunlin/source", "module", "browser", "development|production"],
    alias: [
      // Every package must use the same Loro; this entry compiles its WASM without blocking the page.
      { find: /^loro-crdt$/, replacement: "loro-crdt/web" },
    ],
  },
  optimizeDeps: { exclude: ["loro-crdt"] },
  build: {
    target: "es2023",
    sourcemap: false,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 700,
    // `check-size.ts` reads from the manifest what each route loads.
    manifest: true,
  },
})

/** The letters of the first screen. Found by their styles alone, they would come after it, and its lines would move. */
function preloadFonts(): Plugin {
  return {
    name: "preload-fonts",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler: (_, { bundle = {} }) =>
        Object.keys(bundle)
          .filter((file) => /(?:inter|source-serif-4)-latin-wght-normal.*\.woff2$/.test(file))
          .map((file) => ({
            tag: "link",
            attrs: { rel: "preload", as: "font", type: "font/woff2", href: `/${file}`, crossorigin: "" },
            injectTo: "head",
          })),
    },
  }
}
