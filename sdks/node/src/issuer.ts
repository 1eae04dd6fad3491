import { SettingsError } from './errors.js'
import { type Answer, Http, ok, readable, SHORT_ANSWER, unreadable } from './http.js'

/** Behind the issuer's URL (RFC 8414). */
const WELL_KNOWN = '/.well-known/oauth-authorization-server'
/** What the feed asks for. */
const SCOPE = 'revocations:read'
/** A token of our own that ends sooner is not used any more, seconds. */
const MARGIN = 10
/** How long a token is used whose end the issuer does not tell, seconds. */
const UNTOLD_LIFETIME = 60

/** The issuer does not say that it has what is needed. */
export class MetadataError extends Error {
  override name = 'MetadataError'
}

/** Where the issuer is, and who we are to it. */
export interface Reach {
  /** Its name, to the letter. */
  issuer: string
  /** Another way to it. */
  reachAt?: string | undefined
  /** Whose endpoints are taken beside its own. */
  trustOrigins?: readonly string[] | undefined
  clientId?: string | undefined
  clientSecret?: string | undefined
  dangerAllowHttp?: boolean | undefined
}

/** The endpoints that are of use here. Those that the issuer does not name, it does not have. */
export interface Endpoints {
  jwks: URL
  token: URL | undefined
  introspection: URL | undefined
  revocations: URL | undefined
  stream: URL | undefined
}

/** How the issuer is reached. */
export class Issuer {
  readonly http: Http
  readonly #name: string
  readonly #url: URL
  readonly #reachAt: URL | undefined
  readonly #trusted: ReadonlySet<string>
  readonly #basic: string | undefined
  #own: { bearer: string; until: number } | undefined

  /** @throws {SettingsError} when an address is none, or goes over a network in the clear */
  constructor(reach: Reach, http: Http) {
    this.http = http
    this.#name = reach.issuer
    this.#url = address(reach.issuer, reach.reachAt !== undefined || reach.dangerAllowHttp === true)
    const take = (url: string) => address(url, reach.dangerAllowHttp === true)
    this.#reachAt = reach.reachAt === undefined ? undefined : take(reach.reachAt)
    this.#trusted = new Set(reach.trustOrigins?.map((url) => take(url).origin))
    this.#basic = basic(reach)
  }

  get hasCredentials(): boolean {
    return this.#basic !== undefined
  }

  /** Asks the issuer where everything is. */
  async discover(): Promise<Endpoints> {
    const url = this.#rerouted(new URL(`${this.#name.replace(/\/+$/, '')}${WELL_KNOWN}`))
    const answer = ok(await this.http.send(url, { headers: { accept: 'application/json' } }, SHORT_ANSWER))
    const metadata = json(answer)
    if (metadata.issuer !== this.#name) throw new MetadataError("the metadata is another issuer's")
    const jwks = this.#endpoint(metadata, 'jwks_uri')
    if (!jwks) throw new MetadataError('the issuer has no jwks_uri')
    return {
      jwks,
      token: this.#endpoint(metadata, 'token_endpoint'),
      introspection: this.#endpoint(metadata, 'introspection_endpoint'),
      revocations: this.#endpoint(metadata, 'hallpass_revocations_endpoint'),
      stream: this.#endpoint(metadata, 'hallpass_revocations_stream_endpoint'),
    }
  }

  /** POSTs a form in the name of our client. */
  async post(url: URL, fields: Record<string, string>): Promise<Record<string, unknown>> {
    if (this.#basic === undefined) throw new SettingsError('there are no credentials')
    const headers = { authorization: this.#basic, accept: 'application/json' }
    const body = new URLSearchParams(fields)
    return json(ok(await this.http.send(url, { method: 'POST', headers, body }, SHORT_ANSWER)))
  }

  /** The value of `Authorization` by which we read the feed; `now` in seconds. */
  async bearer(endpoint: URL, now: number): Promise<string> {
    if (this.#own && now < this.#own.until) return this.#own.bearer
    const answer = await this.post(endpoint, { grant_type: 'client_credentials', scope: SCOPE })
    const { access_token: token, expires_in: lifetime } = answer
    if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) throw unreadable('no access token')
    const seconds = typeof lifetime === 'number' ? lifetime : UNTOLD_LIFETIME
    this.#own = { bearer: `Bearer ${token}`, until: now + seconds - MARGIN }
    return this.#own.bearer
  }

  /** The issuer takes our token no longer. */
  forgetBearer(): void {
    this.#own = undefined
  }

  /** Takes an endpoint if it is the issuer's own or trusted: the metadata must not be able to send secrets elsewhere. */
  #endpoint(metadata: Record<string, unknown>, name: string): URL | undefined {
    const text = metadata[name]
    if (text === undefined || text === null) return undefined
    const url = readable(() => new URL(typeof text === 'string' ? text : ''))
    if (url.origin === this.#url.origin) return this.#rerouted(url)
    if (this.#trusted.has(url.origin)) return url
    throw new MetadataError(`the metadata's ${name} is at an origin that is not trusted; see trustOrigins`)
  }

  /** A URL of the issuer's own, by the way that was set. */
  #rerouted(url: URL): URL {
    if (!this.#reachAt) return url
    const way = new URL(this.#reachAt)
    way.pathname = url.pathname
    way.search = url.search
    return way
  }
}

function json(answer: Answer): Record<string, unknown> {
  const value: unknown = readable(() => JSON.parse(answer.body))
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  throw unreadable('not an object')
}

/** An address; in the clear only to this machine, where nobody is on the way, or where it is not travelled. */
function address(text: string, allowHttp: boolean): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'https:') return url
  if (url?.protocol !== 'http:') throw new SettingsError(`${text} is no URL of an issuer`)
  if (allowHttp || isLoopback(url.hostname)) return url
  throw new SettingsError(`${text} is not https; only a loopback address may do without, or set dangerAllowHttp`)
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.[0-9]+\.[0-9]+\.[0-9]+$/.test(host)
}

/** Both parts are form-encoded first (RFC 6749 2.3.1). */
function basic({ clientId, clientSecret }: Reach): string | undefined {
  if (clientId === undefined || clientSecret === undefined) return undefined
  const [id, secret] = [clientId, clientSecret].map((part) => new URLSearchParams([['', part]]).toString().slice(1))
  return `Basic ${btoa(`${id}:${secret}`)}`
}
