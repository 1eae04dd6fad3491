import type { Claims } from './claims.js'
import { machine, noRole, noScope, tooLongAgo } from './errors.js'

/** What a caller needs beside a token that is right. */
export interface Requirements {
  /** All of these; one string may hold several with spaces between. hallpass gives scopes to machines alone. */
  scopes?: string | readonly string[]
  /** This role, or all of these. */
  role?: string | readonly string[]
  /** The person proved who they are no longer ago than that, seconds (claim `auth_time`). */
  maxAuthAge?: number
  /**
   * Lets machines in as well: tokens that a client got for itself (RFC 6749 4.4). Any client of the issuer can get one, so
   * ask for a scope too.
   */
  machines?: boolean
}

/** Throws what speaks against letting the caller in; `now` in seconds since 1970. */
export function permit(claims: Claims, authTime: unknown, needs: Requirements, now: number): void {
  if (!needs.machines && claims.sid === undefined) throw machine()
  for (const role of [needs.role ?? []].flat()) if (!claims.roles.includes(role)) throw noRole(role)
  requireScopes(claims.scope, needs.scopes)
  const { maxAuthAge } = needs
  if (maxAuthAge === undefined) return
  if (!Number.isSafeInteger(authTime) || now - Number(authTime) > maxAuthAge) throw tooLongAgo(maxAuthAge)
}

/** Throws for the first scope that the token was not issued for. */
export function requireScopes(own: string | undefined, wanted: Requirements['scopes'] = []): void {
  const words = new Set(own?.split(' '))
  for (const scope of typeof wanted === 'string' ? wanted.split(' ') : wanted) {
    if (scope === '' || !words.has(scope)) throw noScope(scope)
  }
}
