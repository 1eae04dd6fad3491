import type { IncomingMessage, ServerResponse } from 'node:http'

import { admit, type Auth } from './bearer.js'
import { noToken, TokenError } from './errors.js'
import { answer, authorizationOf } from './node.js'
import { type Requirements, requireScopes } from './permission.js'
import type { Validator } from './validator.js'

export type { Auth }

declare global {
  namespace Express {
    interface Request {
      /** Who sent the request; there behind `requireAuth()`. */
      auth?: Auth
    }
  }
}

type Guarded = IncomingMessage & { auth?: Auth }

/** A middleware of Express, Connect and the like. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void

/** Lets requests with a right access token pass, with `req.auth`, and answers the others: 401, 403 or 503. */
export function requireAuth(validator: Validator, needs: Requirements = {}): Middleware {
  return guard(async (request) => {
    request.auth = await admit(validator, authorizationOf(request), needs)
  })
}

/** Asks for scopes as well; behind `requireAuth()`, which has to let machines in: hallpass gives scopes to them alone. */
export function requiredScopes(...scopes: string[]): Middleware {
  return guard(async ({ auth }) => {
    if (!auth) throw noToken()
    requireScopes(auth.payload.scope, scopes)
  })
}

function guard(look: (request: Guarded) => Promise<void>): Middleware {
  return (request, response, next) => {
    look(request).then(
      () => next(),
      (error: unknown) => (error instanceof TokenError ? answer(response, error) : next(error)),
    )
  }
}
