import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'

import { admit, type Auth } from './bearer.js'
import { TokenError } from './errors.js'
import { authorizationOf } from './node.js'
import type { Requirements } from './permission.js'
import { createValidator, Validator, type ValidatorOptions } from './validator.js'

export type { Auth }

/** A hook of a route: `onRequest`. */
export type AuthHook = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sent the request; there behind `requireAuth()`. */
    auth: Auth | null
  }
  interface FastifyInstance {
    /** A hook that lets requests with a right access token pass, with `request.auth`, and answers the others. */
    requireAuth: (needs?: Requirements) => AuthHook
    hallpass: Validator
  }
}

/** A validator, which stays yours to close; or settings of one that lives and ends with the server. */
export type HallpassOptions = { validator: Validator } | ValidatorOptions

const hallpass: FastifyPluginAsync<HallpassOptions> = async (app, options) => {
  const validator = 'validator' in options ? options.validator : await createValidator(options)
  if (!('validator' in options)) app.addHook('onClose', () => validator.close())
  app.decorate('hallpass', validator)
  app.decorateRequest('auth', null)
  app.decorate('requireAuth', (needs: Requirements = {}): AuthHook => async (request, reply) => {
    try {
      request.auth = await admit(validator, authorizationOf(request.raw), needs)
      return undefined
    } catch (error) {
      if (!(error instanceof TokenError)) throw error
      return reply.code(error.status).headers(error.headers).send(JSON.stringify(error.problem))
    }
  })
}

// Its decorations are for the routes beside it, as those of fastify-plugin.
export default Object.assign(hallpass, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'hallpass-verify',
})
