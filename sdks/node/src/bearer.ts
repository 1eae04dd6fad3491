import { malformed, noToken } from './errors.js'
import type { Requirements } from './permission.js'
import type { Validator } from './validator.js'
import type { Verified } from './verifier.js'

/** Who sent a request, with the token that says so. */
export interface Auth extends Verified {
  token: string
}

/**
 * Lets a request in, by the values of all its `Authorization` headers. Rejects with a `TokenError`: 401 when the token is missing
 * or wrong, 403 when it is right and not enough, 503 when that cannot be told.
 */
export async function admit(validator: Validator, authorization: readonly string[], needs: Requirements): Promise<Auth> {
  const token = bearerToken(authorization)
  return { ...(await validator.verify(token, needs)), token }
}

/**
 * The token of a request (RFC 6750 2.1). Another scheme's credentials are no token. Several headers are refused: whoever stands
 * before this service may have looked at another one of them.
 */
export function bearerToken(authorization: readonly string[]): string {
  const [value, another] = authorization
  if (value === undefined) throw noToken()
  if (another !== undefined) throw malformed()
  const trimmed = value.replace(/^[ \t\n\f\r]+|[ \t\n\f\r]+$/g, '')
  const [scheme = ''] = trimmed.split(' ', 1)
  if (scheme.toLowerCase() !== 'bearer') throw noToken()
  const token = trimmed.slice(scheme.length).replace(/^[ \t\n\f\r]+/, '')
  if (!/^[A-Za-z0-9\-._~+/]+=*$/.test(token)) throw malformed()
  return token
}
