import { createServer, type Server, type ServerResponse } from "node:http"

/** Where the operations port gets its answers. */
export interface OperationsSource {
  /** Null while the host accepts sockets, otherwise the reason why it does not. */
  unready(): string | null
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>
}

/** /healthz: the process answers. /readyz: it accepts sockets. /metrics: Prometheus text. */
export function createOperationsServer(source: OperationsSource): Server {
  const server = createServer(
    {
      maxHeaderSize: 8 * 1024,
      requestTimeout: 5000,
      headersTimeout: 5000,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => {
      if (request.method !== "GET" && request.method !== "HEAD") {
        answer(response, 405, "only GET is answered here")
        return
      }
      // Load balancers append marks of their own to the path.
      switch (request.url?.split("?")[0]) {
        case "/healthz":
          answer(response, 200, "ok")
          return
        case "/readyz": {
          const reason = source.unready()
          answer(response, reason === null ? 200 : 503, reason ?? "ready")
          return
        }
        case "/metrics":
          void source.metrics().then(
            ({ contentType, body }) => answer(response, 200, body, contentType),
            () => answer(response, 500, "the metrics could not be collected"),
          )
          return
        default:
          answer(response, 404, "there is /healthz, /readyz and /metrics")
      }
    },
  )
  server.maxConnections = 256
  return server
}

function answer(response: ServerResponse, status: number, body: string, contentType = "text/plain"): void {
  response.writeHead(status, { "content-type": contentType, "cache-control": "no-store" })
  response.end(body.endsWith("\n") ? body : `${body}\n`)
}
