const POLICY = [
  "default-src 'none'",
  // No inline scripts at all; Loro's WebAssembly comes from a file of this origin.
  "script-src 'self' 'wasm-unsafe-eval'",
  // The editor writes its own rules into a style element. Without any way to inject markup, load a foreign image or
  // reach a foreign address, such rules can do nothing but style.
  "style-src 'self' 'unsafe-inline'",
  "style-src-attr 'none'",
  "font-src 'self'",
  "img-src 'self' data: blob:",
  "manifest-src 'self'",
  "worker-src 'self'",
  // Some browsers do not treat the page's own WebSocket address as 'self'.
  "connect-src 'self' ws: wss:",
  // The split-screen demo shows this application twice.
  "frame-src 'self'",
  "frame-ancestors 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "object-src 'none'",
  // Text never becomes markup: every path from a string to HTML or script is closed.
  "require-trusted-types-for 'script'",
  "trusted-types dunlin",
].join("; ")

export function securityHeaders(): Readonly<Record<string, string>> {
  return {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
  }
}
