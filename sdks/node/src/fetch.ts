import { admit, type Auth } from './bearer.js'
import { TokenError } from './errors.js'
import type { Requirements } from './permission.js'
import type { Validator } from './validator.js'

export type { Auth }

/** Who sent a request. Rejects with a `TokenError`, which {@link problemResponse} answers. */
export function authenticate(validator: Validator, request: Request, needs: Requirements = {}): Promise<Auth> {
  const authorization = request.headers.get('authorization')
  return admit(validator, authorization === null ? [] : [authorization], needs)
}

/** The answer to a request that is not let in. */
export function problemResponse(error: TokenError): Response {
  return new Response(JSON.stringify(error.problem), { status: error.status, headers: error.headers })
}

/** A handler of requests that have a right access token: route handlers of Next and the like. */
export function withAuth<Rest extends unknown[]>(
  validator: Validator,
  needs: Requirements,
  handler: (request: Request, auth: Auth, ...rest: Rest) => Response | Promise<Response>,
): (request: Request, ...rest: Rest) => Promise<Response> {
  return async (request, ...rest) => {
    const auth = await orResponse(authenticate(validator, request, needs))
    return auth instanceof Response ? auth : handler(request, auth, ...rest)
  }
}

/** What is needed of Hono's context. */
export interface HonoContext {
  req: { raw: Request }
  set(name: 'auth', auth: Auth): void
}

/** A middleware of Hono: lets requests pass with `c.get('auth')`, and answers the others. */
export function honoAuth(validator: Validator, needs: Requirements = {}) {
  return async (c: HonoContext, next: () => Promise<void>): Promise<Response | undefined> => {
    const auth = await orResponse(authenticate(validator, c.req.raw, needs))
    if (auth instanceof Response) return auth
    c.set('auth', auth)
    await next()
    return undefined
  }
}

async function orResponse(auth: Promise<Auth>): Promise<Auth | Response> {
  try {
    return await auth
  } catch (error) {
    if (error instanceof TokenError) return problemResponse(error)
    throw error
  }
}
