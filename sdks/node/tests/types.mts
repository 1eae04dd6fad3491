// What users of the types write: it has to compile, and what is wrong in it must not.
import express from 'express'
import { expressjwt } from 'express-jwt'
import Fastify from 'fastify'
import { createValidator, TokenError, type ValidatorOptions } from 'hallpass-verify'
import { requireAuth, requiredScopes } from 'hallpass-verify/express'
import hallpass from 'hallpass-verify/fastify'
import { type Auth, honoAuth, withAuth } from 'hallpass-verify/fetch'
import { Hono } from 'hono'

const settings: ValidatorOptions = { issuer: 'https://id.example.com', audience: ['a'], onStale: 'introspect' }
const validator = await createValidator(settings)
try {
  const { payload, protectedHeader } = await validator.verify('token', { scopes: ['a'], role: 'admin', maxAuthAge: 60 })
  const texts: string[] = [payload.sub, ...payload.roles, protectedHeader.kid]
  console.log(texts, payload['tenant'])
} catch (error) {
  if (error instanceof TokenError) console.log(error.status === 503, error.code === 'token_revoked', error.headers)
}

const app = express()
app.use(requireAuth(validator, { machines: true }), requiredScopes('orders:read'))
app.get('/', (req, res) => void res.json(req.auth?.payload.email_verified))
app.use(expressjwt({ secret: 'x', algorithms: ['ES256'], isRevoked: validator.isRevoked }))

const fastify = Fastify()
await fastify.register(hallpass, settings)
await fastify.register(hallpass, { validator })
fastify.get('/', { onRequest: fastify.requireAuth({ role: 'admin' }) }, async (request) => request.auth?.payload.sub)

const hono = new Hono<{ Variables: { auth: Auth } }>()
hono.use(honoAuth(validator))
hono.get('/', (c) => c.text(c.get('auth').payload.sub))
export const GET = withAuth(validator, {}, (_request, auth, _context: { params: Promise<object> }) => Response.json(auth.payload))

// @ts-expect-error: no such way
await createValidator({ ...settings, onStale: 'guess' })
