// Libraries for Node, as their quickstarts have them and as they are to be set. On stdin, as JSON, `{service, tokens}` by the algorithm
// that the service signs with; on stdout a line for each library: which tokens it lets in.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'

import fastifyJwt from '@fastify/jwt'
import { JwtVerifier } from 'aws-jwt-verify'
import { SimpleJwksCache } from 'aws-jwt-verify/jwk'
import express from 'express'
import oauth2JwtBearer from 'express-oauth2-jwt-bearer'
import Fastify from 'fastify'
import fastifyJwtJwks from 'fastify-jwt-jwks'
import buildGetJwks from 'get-jwks'
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, SignJWT } from 'jose'
import { passportJwtSecret } from 'jwks-rsa'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { Passport } from 'passport'
import { ExtractJwt, Strategy } from 'passport-jwt'

const services = JSON.parse(await text(process.stdin))

/** An issuer that nobody asked for, and whose tokens say where its keys are. */
const stranger = await strangeIssuer()

/**
 * Each makes a function that rejects what the library does not accept: as the quickstart has it, or `set` as it should be. `at` is
 * where the service is.
 */
const libraries = {
  async 'express-oauth2-jwt-bearer'({ set, issuer, audience, alg }) {
    const strict = set ? { tokenSigningAlg: alg, strict: true } : {}
    return behindExpress(oauth2JwtBearer.auth({ issuerBaseURL: issuer, audience, ...strict }))
  },

  async 'jwks-rsa with passport-jwt'({ set, issuer, audience, jwksUri, alg }) {
    const passport = new Passport()
    const keyOf = passportJwtSecret({ jwksUri, cache: true, rateLimit: true, jwksRequestsPerMinute: 5 })
    const keyOfAccessToken = (request, token, done) =>
      decodeProtectedHeader(token).typ === 'at+jwt' ? keyOf(request, token, done) : done(new Error('no access token'))
    const secretOrKeyProvider = set ? keyOfAccessToken : keyOf
    const jwtFromRequest = ExtractJwt.fromAuthHeaderAsBearerToken()
    const algorithms = [set ? alg : 'RS256']
    passport.use(new Strategy({ secretOrKeyProvider, jwtFromRequest, issuer, audience, algorithms }, (payload, done) => done(null, payload)))
    return behindExpress(passport.authenticate('jwt', { session: false }))
  },

  async 'aws-jwt-verify'({ set, issuer, audience, jwksUri }) {
    // It fetches over TLS alone: here the keys are handed in.
    const jwksCache = new SimpleJwksCache()
    const customJwtCheck = set
      ? ({ header }) => {
          if (header.typ !== 'at+jwt') throw new Error('no access token')
        }
      : undefined
    const verifier = JwtVerifier.create({ issuer, audience, jwksUri, customJwtCheck }, { jwksCache })
    verifier.cacheJwks(await (await fetch(jwksUri)).json())
    return (token) => verifier.verify(token)
  },

  async '@fastify/jwt with get-jwks'({ set, issuer, audience, alg }) {
    const app = Fastify()
    const getJwks = buildGetJwks(set ? { issuersWhitelist: [issuer] } : {})
    const verify = set ? { allowedIss: issuer, allowedAud: audience, algorithms: [alg], checkTyp: 'at+jwt' } : undefined
    const secret = (_request, { header: { kid, alg }, payload: { iss } }, done) => {
      getJwks.getPublicKey({ kid, domain: iss, alg }).then((key) => done(null, key), done)
    }
    await app.register(fastifyJwt, { decode: { complete: true }, secret, ...(verify && { verify }) })
    app.get('/', { onRequest: (request) => request.jwtVerify() }, () => 'in')
    return injected(app)
  },

  async 'fastify-jwt-jwks'({ set, issuer, audience, jwksUri }) {
    const app = Fastify()
    await app.register(fastifyJwtJwks, { jwksUrl: jwksUri, audience, ...(set && { issuer, checkTyp: 'at+jwt' }) })
    app.get('/', { preValidation: app.authenticate }, () => 'in')
    return injected(app)
  },

  async oauth4webapi({ issuer, audience }) {
    const insecure = { [oauth.allowInsecureRequests]: true }
    const url = new URL(issuer)
    const server = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, insecure))
    return (token) => {
      const request = new Request(issuer, { headers: { authorization: `Bearer ${token}` } })
      return oauth.validateJwtAccessToken(server, request, audience, insecure)
    }
  },

  async 'openid-client'({ issuer }) {
    const execute = [openid.allowInsecureRequests]
    const config = await openid.discovery(new URL(issuer), 'books', 'books-dev-secret', openid.ClientSecretBasic(), { execute })
    return async (token) => {
      const { active } = await openid.tokenIntrospection(config, token)
      if (!active) throw new Error('not active')
    }
  },
}

async function behindExpress(middleware) {
  const app = express()
  app.get('/', middleware, (_req, res) => res.send('in'))
  app.use((error, _req, res, _next) => res.status(error.status ?? 500).end())
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  server.unref()
  return async (token) => {
    const answer = await fetch(`http://127.0.0.1:${server.address().port}/`, { headers: { authorization: `Bearer ${token}` } })
    if (answer.status !== 200) throw new Error(`it answers ${answer.status}`)
  }
}

function injected(app) {
  return async (token) => {
    const { statusCode } = await app.inject({ url: '/', headers: { authorization: `Bearer ${token}` } })
    if (statusCode !== 200) throw new Error(`it answers ${statusCode}`)
  }
}

async function strangeIssuer() {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'strange', alg: 'ES256', use: 'sig' }] })
  const server = createServer((_, response) => response.end(jwks)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  server.unref()
  const iss = `http://127.0.0.1:${server.address().port}`
  const sign = (claims) => new SignJWT({ ...claims, iss }).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'strange' }).sign(privateKey)
  return { sign }
}

/** The names of the tokens that are let in, or what went wrong before any was tried. */
async function letIn(make, set, alg) {
  const { service: issuer, tokens } = services[alg]
  const accept = await make({ set, alg, issuer, audience: issuer, jwksUri: `${issuer}/.well-known/jwks.json` })
  const all = { ...tokens, 'an issuer of its own': await stranger.sign(decodeJwt(tokens.good)) }
  const names = []
  for (const [name, token] of Object.entries(all)) {
    const isIn = await (async () => accept(token))().then(() => true, (error) => process.env.WHY && console.error(name, error))
    if (isIn === true) names.push(name)
  }
  return names
}

/** Which the service has to sign with, where it is not ES256. */
const ALGORITHMS = { 'fastify-jwt-jwks': 'EdDSA' }

const { dependencies } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
for (const [name, make] of Object.entries(libraries)) {
  const version = name.split(' with ').map((it) => dependencies[it]).join(', ')
  const quickstart = await letIn(make, false, 'ES256')
  const set = await letIn(make, true, ALGORITHMS[name] ?? 'ES256')
  console.log(JSON.stringify({ name, version, quickstart, set }))
}
process.exit()
