// oauth4webapi asks a running service for tokens of services, exchanges one, asks about it and takes it back.
//
//   node grants.mjs SERVICE_URL
import assert from 'node:assert/strict'

import * as oauth from 'oauth4webapi'

const [service] = process.argv.slice(2)
const ORDERS = 'https://orders.example.com'
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const options = { [oauth.allowInsecureRequests]: true }

async function post(path, json, token) {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
  const answer = await fetch(`${service}${path}`, { method: 'POST', headers, body: JSON.stringify(json) })
  assert.ok(answer.ok, `${path}: ${answer.status}`)
  return answer.json()
}

const { accessToken: admin } = await post('/auth/login', { email: 'johndoe@example.com', password: 'password' })
async function client(terms) {
  const { secret } = await post('/clients', terms, admin)
  return { client: { client_id: terms.id }, proof: oauth.ClientSecretBasic(secret) }
}
const gateway = await client({ id: 'gateway-of-node', audiences: [ORDERS], exchange: true })
const orders = await client({ id: 'orders-of-node', audience: ORDERS })

const issuer = new URL(service)
const found = await oauth.discoveryRequest(issuer, { ...options, algorithm: 'oauth2' })
const as = await oauth.processDiscoveryResponse(issuer, found)
assert.ok(as.grant_types_supported.includes(EXCHANGE))

const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))
const introspected = async (token) => {
  const answer = await oauth.introspectionRequest(as, orders.client, orders.proof, token, options)
  return oauth.processIntrospectionResponse(as, orders.client, answer)
}

// client_credentials with `resource`.
const own = await oauth.processClientCredentialsResponse(as, gateway.client,
  await oauth.clientCredentialsGrantRequest(as, gateway.client, gateway.proof, { resource: ORDERS }, options))
assert.equal(claims(own.access_token).aud, ORDERS)
await assert.rejects(async () => oauth.processClientCredentialsResponse(as, gateway.client,
  await oauth.clientCredentialsGrantRequest(as, gateway.client, gateway.proof, { resource: 'https://elsewhere' }, options)),
{ error: 'invalid_target' })

// An exchange.
const person = { email: 'node@example.com', password: 'correct horse battery staple' }
await post('/auth/register', person)
const { accessToken } = await post('/auth/login', person)
const fields = { subject_token: accessToken, subject_token_type: ACCESS_TOKEN, resource: ORDERS }
const exchanged = await oauth.processGenericTokenEndpointResponse(as, gateway.client,
  await oauth.genericTokenEndpointRequest(as, gateway.client, gateway.proof, EXCHANGE, fields, options))
assert.equal(exchanged.issued_token_type, ACCESS_TOKEN)
assert.deepEqual(claims(exchanged.access_token).act, { sub: 'gateway-of-node' })

// Introspection and revocation.
const before = await introspected(exchanged.access_token)
assert.deepEqual([before.active, before.aud, before.act], [true, [ORDERS], { sub: 'gateway-of-node' }])
await oauth.processRevocationResponse(
  await oauth.revocationRequest(as, gateway.client, gateway.proof, exchanged.access_token, options))
assert.equal((await introspected(exchanged.access_token)).active, false)
assert.equal((await introspected(own.access_token)).active, true)
console.log('oauth4webapi: client_credentials with resource, exchange, introspection and revocation work')
