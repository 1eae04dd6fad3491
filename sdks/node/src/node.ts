// What frameworks on node:http share.
import type { IncomingMessage, ServerResponse } from 'node:http'

import type { TokenError } from './errors.js'

/** The values of all `Authorization` headers: `headers` shows the first one alone. */
export function authorizationOf(request: IncomingMessage): string[] {
  // What stands for a request in tests of one's own may not have these.
  const distinct = request.headersDistinct as IncomingMessage['headersDistinct'] | undefined
  return distinct ? (distinct['authorization'] ?? []) : [request.headers.authorization ?? []].flat()
}

/** Answers with problem details (RFC 9457). */
export function answer(response: ServerResponse, error: TokenError): void {
  response.writeHead(error.status, error.headers)
  response.end(JSON.stringify(error.problem))
}
