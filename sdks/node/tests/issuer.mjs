// An issuer for tests: what hallpass answers, as a test wants it, on a free port of this machine.
import { once } from 'node:events'
import { createServer } from 'node:http'

import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose'

export const AUDIENCE = 'https://api.example.com'
export const SECRET = 'issuer-test-secret'
export const ID = '00000000-0000-4000-8000-00000000000'

export class Issuer {
  /** What came in, by path. */
  asked = {}
  entries = []
  cursor = 0
  /** Answers of a path instead of its own: (request, response) => true when it has answered. */
  instead = {}
  metadata = {}
  /** How many milliseconds later than it says each statement is. */
  lateMs = 0
  isBeating = true
  #streams = new Set()

  static async start({ beat = 50 } = {}) {
    const issuer = new Issuer()
    await issuer.newKey()
    issuer.server = createServer((request, response) => issuer.#answer(request, response))
    issuer.server.listen(0, '127.0.0.1')
    await once(issuer.server, 'listening')
    issuer.url = `http://127.0.0.1:${issuer.server.address().port}`
    issuer.beat = setInterval(() => issuer.isBeating && issuer.heartbeat(), beat)
    return issuer
  }

  async stop() {
    clearInterval(this.beat)
    this.server.close()
    this.server.closeAllConnections()
  }

  async newKey() {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    const jwk = await exportJWK(publicKey)
    this.kid = await calculateJwkThumbprint(jwk)
    this.privateKey = privateKey
    this.jwks = { keys: [{ ...jwk, kid: this.kid, alg: 'ES256', use: 'sig' }] }
  }

  claims(more = {}) {
    const now = Math.floor(Date.now() / 1000)
    const session = { sid: `${ID}2`, sv: 3, email: 'ada@example.com', email_verified: true, roles: ['member'] }
    return { iss: this.url, aud: AUDIENCE, sub: '42', iat: now, exp: now + 900, jti: `${ID}1`, inc: 7, client_id: 'hallpass', ...session, ...more }
  }

  token(more = {}, header = {}) {
    const claims = Object.fromEntries(Object.entries(this.claims(more)).filter(([, value]) => value !== undefined))
    return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: this.kid, ...header }).sign(this.privateKey)
  }

  machine(more = {}) {
    return this.token({ sub: 'orders', sid: undefined, sv: undefined, email: undefined, email_verified: undefined, roles: [], scope: 'orders:read', ...more })
  }

  count(path) {
    return this.asked[path]?.length ?? 0
  }

  revoke(entry) {
    const revocation = { exp: Math.floor(Date.now() / 1000) + 900, ...entry }
    this.entries.push(revocation)
    this.cursor += 1
    this.send('revocation', revocation)
  }

  heartbeat() {
    this.send('heartbeat', this.#times())
  }

  send(event, data) {
    for (const stream of this.#streams) stream.write(`event: ${event}\nid: ${this.cursor}\ndata: ${JSON.stringify(data)}\n\n`)
  }

  cut() {
    for (const stream of this.#streams) stream.destroy()
  }

  get open() {
    return this.#streams.size
  }

  #times() {
    const until = Date.now() - this.lateMs
    return { server_time: Math.floor(until / 1000), server_time_ms: until }
  }

  async #answer(request, response) {
    const path = request.url
    let body = ''
    for await (const piece of request) body += piece
    ;(this.asked[path] ??= []).push({ headers: request.headers, body })
    if (this.instead[path]?.(request, response, body)) return
    const own = { '/.well-known/oauth-authorization-server': 'discovery', '/jwks': 'keys', '/oauth2/token': 'grant', '/revocations': 'list', '/revocations/stream': 'stream', '/oauth2/introspect': 'introspect' }[path]
    if (own) this[own](request, response, body)
    else json(response, 404, {})
  }

  discovery(_request, response) {
    const at = (path) => `${this.url}${path}`
    json(response, 200, {
      issuer: this.url,
      jwks_uri: at('/jwks'),
      token_endpoint: at('/oauth2/token'),
      introspection_endpoint: at('/oauth2/introspect'),
      hallpass_revocations_endpoint: at('/revocations'),
      hallpass_revocations_stream_endpoint: at('/revocations/stream'),
      ...this.metadata,
    })
  }

  keys(_request, response) {
    json(response, 200, this.jwks, { 'cache-control': 'max-age=300' })
  }

  grant(_request, response) {
    json(response, 200, { access_token: 'own-token', token_type: 'Bearer', expires_in: 900 })
  }

  list(request, response) {
    const etag = `"${this.cursor}"`
    // What is stated was true before the clock is looked at.
    const times = this.#times()
    const until = String(times.server_time_ms)
    const headers = { etag, 'hallpass-clock': String(Date.now()), 'hallpass-complete-until': until }
    if (request.headers['if-none-match'] === etag) return response.writeHead(304, headers).end()
    return json(response, 200, { cursor: String(this.cursor), entries: this.entries, ...times }, headers)
  }

  stream(request, response) {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'hallpass-clock': String(Date.now()) })
    this.#streams.add(response)
    response.on('close', () => this.#streams.delete(response))
    const seen = Number(request.headers['last-event-id'] ?? 0)
    for (const [at, entry] of this.entries.slice(seen).entries()) {
      response.write(`event: revocation\nid: ${seen + at + 1}\ndata: ${JSON.stringify(entry)}\n\n`)
    }
    this.heartbeat()
  }

  introspect(_request, response) {
    json(response, 200, { active: true })
  }
}

export function json(response, status, body, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

/** Waits until something holds, at most some seconds. */
export async function until(what, holds, seconds = 10) {
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`it does not come to pass: ${what}`)
}

/** A clock that a test moves; it stands at the machine's time otherwise. */
export class MovedClock {
  ahead = 0
  now() {
    return Date.now() + this.ahead
  }
  monotonic() {
    return performance.now() + this.ahead
  }
}
