import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as rawRequest } from 'node:http'
import { after, before, test } from 'node:test'

import { serve } from '@hono/node-server'
import express from 'express'
import { expressjwt } from 'express-jwt'
import Fastify from 'fastify'
import { createValidator } from 'hallpass-verify'
import { requireAuth, requiredScopes } from 'hallpass-verify/express'
import hallpass from 'hallpass-verify/fastify'
import { honoAuth, withAuth } from 'hallpass-verify/fetch'
import { Hono } from 'hono'

import { AUDIENCE, ID, Issuer, MovedClock, SECRET, until } from './issuer.mjs'

const clock = new MovedClock()
let issuer
let validator
let settings

before(async () => {
  issuer = await Issuer.start()
  settings = { issuer: issuer.url, audience: AUDIENCE, clientId: 'orders', clientSecret: SECRET, clock, onProblem: () => undefined }
  validator = await createValidator(settings)
})
after(async () => {
  await validator.close()
  await issuer.stop()
})

const answer = (auth) => ({ sub: auth.payload.sub, alg: auth.protectedHeader.alg })

/** How each framework serves `/` for people, `/admin` for administrators and `/orders` for machines with a scope. */
const frameworks = {
  async express() {
    const app = express()
    const people = requireAuth(validator)
    app.get('/', people, (req, res) => res.json(answer(req.auth)))
    app.get('/admin', requireAuth(validator, { role: 'admin' }), (req, res) => res.json(answer(req.auth)))
    app.get('/orders', requireAuth(validator, { machines: true }), requiredScopes('orders:read'), (req, res) => res.json(answer(req.auth)))
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return { port: server.address().port, stop: () => server.close() }
  },

  async fastify() {
    const app = Fastify()
    await app.register(hallpass, { validator })
    app.get('/', { onRequest: app.requireAuth() }, (request) => answer(request.auth))
    app.get('/admin', { onRequest: app.requireAuth({ role: 'admin' }) }, (request) => answer(request.auth))
    app.get('/orders', { onRequest: app.requireAuth({ machines: true, scopes: 'orders:read' }) }, (request) => answer(request.auth))
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { port: app.server.address().port, stop: () => app.close() }
  },

  async hono() {
    const app = new Hono()
    app.get('/', honoAuth(validator), (c) => c.json(answer(c.get('auth'))))
    app.get('/admin', honoAuth(validator, { role: 'admin' }), (c) => c.json(answer(c.get('auth'))))
    app.get('/orders', honoAuth(validator, { machines: true, scopes: 'orders:read' }), (c) => c.json(answer(c.get('auth'))))
    return listening(app.fetch)
  },

  async fetch() {
    const needs = { '/': {}, '/admin': { role: 'admin' }, '/orders': { machines: true, scopes: 'orders:read' } }
    return listening((request) => {
      const route = withAuth(validator, needs[new URL(request.url).pathname], (_, auth) => Response.json(answer(auth)))
      return route(request)
    })
  },
}

function listening(fetch) {
  return new Promise((resolve) => {
    const options = { fetch, port: 0, hostname: '127.0.0.1' }
    const server = serve(options, ({ port }) => resolve({ port, stop: () => server.close() }))
  })
}

/** One request with these `Authorization` headers. */
function get(port, path, authorization) {
  return new Promise((resolve, reject) => {
    const headers = ['host', 'localhost', ...authorization.flatMap((value) => ['authorization', value])]
    rawRequest({ port, host: '127.0.0.1', path, headers, agent: false }, async (response) => {
      let body = ''
      for await (const piece of response) body += piece
      resolve({ status: response.statusCode, headers: response.headers, body: JSON.parse(body) })
    }).on('error', reject).end()
  })
}

for (const [name, start] of Object.entries(frameworks)) {
  test(`${name} lets in whom it should, and answers the others as hallpass does`, async () => {
    const { port, stop } = await start()
    try {
      const ada = `Bearer ${await issuer.token()}`
      const admin = `bearer ${await issuer.token({ roles: ['admin', 'member'] })}`
      const machine = `Bearer ${await issuer.machine()}`
      assert.deepEqual((await get(port, '/', [ada])).body, { sub: '42', alg: 'ES256' })
      assert.equal((await get(port, '/admin', [admin])).status, 200)
      assert.deepEqual((await get(port, '/orders', [machine])).body, { sub: 'orders', alg: 'ES256' })
      const notEnough = 'Bearer error="insufficient_scope"'
      const wrong = (text) => `Bearer error="invalid_token", error_description="${text}"`
      for (const [path, authorization, status, code, challenge] of [
        ['/', [], 401, 'authentication_required', 'Bearer'],
        ['/', ['Basic YTpi'], 401, 'authentication_required', 'Bearer'],
        ['/', ['Bearer a b'], 401, 'invalid_token', wrong('the token is malformed')],
        ['/', [ada, ada], 401, 'invalid_token', wrong('the token is malformed')],
        ['/', [`Bearer ${await issuer.token({ aud: 'x' })}`], 401, 'invalid_token', wrong('the token is for another audience')],
        ['/', [machine], 403, 'forbidden', notEnough],
        ['/admin', [ada], 403, 'forbidden', notEnough],
        ['/orders', [`Bearer ${await issuer.machine({ scope: 'orders' })}`], 403, 'insufficient_scope', `${notEnough}, scope="orders:read"`],
      ]) {
        const refused = await get(port, path, authorization)
        assert.deepEqual([refused.status, refused.body.code, refused.headers['www-authenticate']], [status, code, challenge], `${path} ${authorization}`)
        assert.match(refused.headers['content-type'], /^application\/problem\+json/)
        assert.equal(refused.body.type, `urn:hallpass:error:${code}`)
        assert.equal(refused.body.status, status)
      }
      issuer.isBeating = false
      clock.ahead += 3000
      const unknown = await get(port, '/', [ada])
      assert.deepEqual([unknown.status, unknown.headers['retry-after'], unknown.headers['www-authenticate']], [503, '1', undefined])
    } finally {
      issuer.isBeating = true
      // The next stream measures against the clock that was moved.
      issuer.cut()
      await until('it is fresh', () => validator.status().isFresh)
      await stop()
    }
  })
}

test('the plugin of fastify makes and ends a validator of its own', async () => {
  const app = Fastify()
  await app.register(hallpass, settings)
  app.get('/', { onRequest: app.requireAuth() }, (request) => answer(request.auth))
  const inject = async () => (await app.inject({ url: '/', headers: { authorization: `Bearer ${await issuer.token()}` } })).statusCode
  assert.equal(await inject(), 200)
  const own = app.hallpass
  await app.close()
  await assert.rejects(own.verify(await issuer.token()), { status: 503 })
})

test('express-jwt learns of a logout by the hook', async () => {
  const app = express()
  const { createPublicKey } = await import('node:crypto')
  const secret = createPublicKey({ key: issuer.jwks.keys[0], format: 'jwk' })
  app.use(expressjwt({ secret, algorithms: ['ES256'], isRevoked: validator.isRevoked }))
  app.get('/', (req, res) => res.json({ sub: req.auth.sub }))
  app.use((error, _req, res, _next) => res.status(error.status).json({ code: error.code }))
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const ask = async () => (await get(server.address().port, '/', [`Bearer ${await issuer.token({ sid: `${ID}7` })}`])).body
    assert.deepEqual(await ask(), { sub: '42' })
    issuer.revoke({ sid: `${ID}7` })
    await until('it is refused', async () => (await ask()).code === 'revoked_token')
  } finally {
    server.close()
  }
})
