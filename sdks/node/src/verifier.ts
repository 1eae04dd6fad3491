import { decode, decodeText } from './base64url.js'
import { type Claims, readClaims } from './claims.js'
import { expired, invalid, malformed, type TokenError, UnknownKey } from './errors.js'
import { Members, membersOf, required } from './json.js'
import type { KeySet } from './keys.js'

/** The longest token that is looked at, in bytes. */
const TOKEN_MAX_BYTES = 8 * 1024

/** What is compared with what tokens say. */
export interface Rules {
  issuer: string
  /** One of them is enough. */
  audiences: readonly string[]
  /** `at+jwt` (RFC 9068 2.1) or `JWT`. */
  typ: string
  /** By how much the issuer's clock and this machine's may differ, whole seconds. */
  leeway: bigint
}

/** The JOSE header and the whole payload, as jose gives them. */
export interface Verified {
  payload: Payload
  protectedHeader: Header
}

/** The header of a token that was accepted (RFC 7515 4.1). */
export interface Header {
  alg: string
  kid: string
  typ: string
  [parameter: string]: unknown
}

/** The claims of a token that was accepted. Numbers beyond 2^53 are rounded here, though not where they are compared. */
export interface Payload {
  iss: string
  aud: string | string[]
  /** The account's id in digits; of a machine, the client's id. Know people by it. */
  sub: string
  exp: number
  iat: number
  nbf?: number
  jti: string
  /** The session. A token without one is a machine's: nobody is logged in by it. */
  sid?: string
  sv?: number
  inc: number
  client_id: string
  /** Anybody's until `email_verified` is true. */
  email?: string
  email_verified?: boolean
  /** When the person proved who they are, seconds since 1970: at the login, not at a refresh. */
  auth_time?: number
  /** How they did (RFC 8176): `pwd` is a password. */
  amr?: string[]
  /** `urn:hallpass:acr:1` is one factor, `urn:hallpass:acr:2` are two. */
  acr?: string
  roles: string[]
  /** Words with single spaces between. */
  scope?: string
  [claim: string]: unknown
}

/** A token whose signature, type, issuer and audience are right. Its times and its revocation are checked on every use. */
export interface KnownToken {
  claims: Claims
  kid: string
  /** What it says, as JSON: whoever gets it may change what they got. */
  payload: string
  header: string
}

/** A copy for whoever asked. */
export function verifiedOf({ payload, header }: KnownToken): Verified {
  return { payload: JSON.parse(payload) as Payload, protectedHeader: JSON.parse(header) as Header }
}

interface OuterForm {
  text: string
  alg: string
  kid: string | undefined
  typ: string | undefined
  payload: string
}

const HEADER = new Set(['alg', 'kid', 'typ', 'jku', 'jwk', 'x5u', 'x5c', 'crit'])
/** A key that comes with the token proves nothing (CVE-2018-0114), and no critical parameter is known (RFC 7515 4.1.11). */
const UNWANTED = ['jku', 'jwk', 'x5u', 'x5c', 'crit']

/** Checks everything but times and revocation; rejects with a {@link TokenError}. */
export async function verify(token: string, keys: KeySet, rules: Rules): Promise<KnownToken> {
  const outer = outerForm(token)
  const key = outer.kid === undefined ? undefined : keys.find(outer.kid)
  if (outer.kid === undefined || !key) throw new UnknownKey()
  if (outer.alg !== key.algorithm) throw invalid("the token's algorithm is not its key's")
  if (decodeSignature(token) === undefined) throw malformed()
  if (!(await key.signed(token))) throw invalid("the token's signature is wrong")
  const [payload, claims] = orMalformed(() => {
    const text = objectText(outer.payload)
    return [text, readClaims(text)] as const
  })
  checkClaims(claims, outer.typ, rules)
  return { claims, kid: outer.kid, payload, header: outer.text }
}

function checkClaims(claims: Claims, typ: string | undefined, rules: Rules): void {
  if (!isOfType(typ, rules.typ)) throw invalid('the token is not an access token')
  if (claims.iss !== rules.issuer) throw invalid('the token is from another issuer')
  if (!claims.aud.some((audience) => rules.audiences.includes(audience))) {
    throw invalid('the token is for another audience')
  }
  // A security event is told by its number alone: it could not concern this token.
  if (claims.sid !== undefined && claims.sv === undefined) throw invalid('the token has no security version')
}

/** The one place that compares a token's times (RFC 7519 4.1.4 to 4.1.6); `now` in whole seconds since 1970. */
export function checkTimes({ iat, nbf, exp }: Claims, { leeway }: Rules, now: bigint): TokenError | undefined {
  if (iat > now + leeway || (nbf !== undefined && nbf > now + leeway)) return invalid('the token is not valid yet')
  return now >= exp + leeway ? expired() : undefined
}

function outerForm(token: string): OuterForm {
  if (token.length > TOKEN_MAX_BYTES) throw invalid('the token is too long')
  const [header, payload, signature, ...more] = token.split('.')
  if (header === undefined || payload === undefined || signature === undefined || more.length > 0) throw malformed()
  return orMalformed(() => {
    const text = objectText(header)
    const map = membersOf(text, HEADER)
    if (UNWANTED.some((name) => map.has(name))) throw malformed()
    // Here `null` is as good as silence.
    const members = new Members(new Map([...map].filter(([name, value]) => name === 'alg' || value !== null)))
    return { text, payload, alg: required(members.text('alg')), kid: members.text('kid'), typ: members.text('typ') }
  })
}

function decodeSignature(token: string): string | undefined {
  const signature = token.slice(token.lastIndexOf('.') + 1)
  return decode(signature) ? signature : undefined
}

/** One JSON object out of base64url. */
function objectText(part: string): string {
  return required(decodeText(part))
}

function orMalformed<T>(read: () => T): T {
  try {
    return read()
  } catch {
    throw malformed()
  }
}

/** Media types compare without case, and `application/` may be left out (RFC 7515 4.1.9). */
export function isOfType(typ: string | undefined, expected: string): boolean {
  return typ?.toLowerCase().replace(/^application\//, '') === expected.toLowerCase()
}
