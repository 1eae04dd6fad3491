import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { inspect } from 'node:util'

import { createValidator, MetadataError, SettingsError, TokenError } from 'hallpass-verify'

import { AUDIENCE, ID, Issuer, json, MovedClock, SECRET, until } from './issuer.mjs'

let issuer
let clock
let validators
let problems

beforeEach(async () => {
  ;[issuer, clock, validators, problems] = [await Issuer.start(), new MovedClock(), [], []]
})
afterEach(async () => {
  await Promise.all(validators.map((validator) => validator.close()))
  await issuer.stop()
})

async function follow(options = {}) {
  const validator = await createValidator({
    issuer: issuer.url,
    audience: AUDIENCE,
    clientId: 'orders',
    clientSecret: SECRET,
    clock,
    onProblem: (problem) => problems.push(problem),
    ...options,
  })
  validators.push(validator)
  return validator
}

/** The code of the refusal, or `ok`. */
async function outcome(validator, token, needs) {
  try {
    await validator.verify(await token, needs)
    return 'ok'
  } catch (error) {
    assert(error instanceof TokenError, inspect(error))
    return error.code
  }
}

test('a right token gives its payload and its header, and each caller a copy of its own', async () => {
  const validator = await follow()
  const token = await issuer.token()
  const first = await validator.verify(token)
  assert.equal(first.payload.sub, '42')
  assert.deepEqual(first.protectedHeader, { alg: 'ES256', typ: 'at+jwt', kid: issuer.kid })
  first.payload.roles.push('admin')
  assert.deepEqual((await validator.verify(token)).payload.roles, ['member'])
})

test('what is wrong with a token is 401 with a challenge', async () => {
  const validator = await follow()
  const now = Math.floor(Date.now() / 1000)
  const wrong = {
    invalid_token: [issuer.token({ aud: 'https://other.example.com' }), issuer.token({ iss: 'https://other.example.com' }), issuer.token({}, { typ: 'JWT' }), issuer.token({ sv: undefined }), issuer.token({ iat: now + 60 }), 'junk'],
    token_expired: [issuer.token({ exp: now - 60 })],
  }
  for (const [code, tokens] of Object.entries(wrong)) {
    for (const token of tokens) {
      const error = await validator.verify(await token).catch((it) => it)
      assert.deepEqual([error.code, error.status, error.retryAfter], [code, 401, undefined])
      assert.match(error.wwwAuthenticate, /^Bearer error="invalid_token", error_description="[^"]+"$/)
      assert.equal(error.problem.type, `urn:hallpass:error:${code}`)
    }
  }
})

test('any of several audiences is enough', async () => {
  const validator = await follow({ audience: ['https://a.example.com', AUDIENCE] })
  assert.equal(await outcome(validator, issuer.token()), 'ok')
  assert.equal(await outcome(validator, issuer.token({ aud: ['https://a.example.com', 'x'] })), 'ok')
  assert.equal(await outcome(validator, issuer.token({ aud: 'x' })), 'invalid_token')
})

test('a machine is let in where that is said, and asked for its scopes', async () => {
  const validator = await follow()
  const machine = await issuer.machine({ scope: 'orders:read orders:write' })
  for (const [needs, expected] of [
    [{}, 'forbidden'],
    [{ scopes: 'orders:read' }, 'forbidden'],
    [{ machines: true }, 'ok'],
    [{ machines: true, scopes: 'orders:read orders:write' }, 'ok'],
    [{ machines: true, scopes: ['orders:read', 'orders:all'] }, 'insufficient_scope'],
    [{ machines: true, role: 'admin' }, 'forbidden'],
  ]) {
    assert.equal(await outcome(validator, machine, needs), expected, inspect(needs))
  }
  assert.equal(await outcome(validator, issuer.token({ roles: ['admin', 'member'] }), { role: ['admin', 'member'] }), 'ok')
})

test('whoever logged in too long ago is asked to do it again', async () => {
  const validator = await follow()
  const now = Math.floor(Date.now() / 1000)
  const needs = { maxAuthAge: 60 }
  assert.equal(await outcome(validator, issuer.token({ auth_time: now - 50 }), needs), 'ok')
  for (const authTime of [now - 70, undefined]) {
    const error = await validator.verify(await issuer.token({ auth_time: authTime }), needs).catch((it) => it)
    assert.deepEqual([error.status, error.code], [401, 'insufficient_user_authentication'], String(authTime))
    assert.equal(error.wwwAuthenticate, 'Bearer error="insufficient_user_authentication", max_age="60"')
  }
  for (const authTime of ['now', now + 0.5]) {
    assert.equal(await outcome(validator, issuer.token({ auth_time: authTime }), needs), 'invalid_token', String(authTime))
  }
})

for (const [what, entry] of [
  ['a session', () => ({ sid: `${ID}2` })],
  ['a token', () => ({ jti: `${ID}1` })],
  ["an account's earlier tokens", () => ({ sub: '42', sv: 4 })],
  ['a key', () => ({ kid: issuer.kid })],
  ['all of before a loss', () => ({ all: true, inc: 8 })],
  ['those of a partition', () => ({ all: true, inc: 8, partition: 42 })],
]) {
  test(`the end of ${what} is heard of`, async () => {
    const validator = await follow()
    const token = await issuer.token()
    assert.equal(await outcome(validator, token), 'ok')
    issuer.revoke(entry())
    await until('it is refused', async () => (await outcome(validator, token)) === 'token_revoked')
    const late = await follow()
    assert.equal(await outcome(late, token), 'token_revoked', 'it stands in the list, too')
  })
}

test('what concerns others is nothing to a token', async () => {
  const validator = await follow()
  for (const entry of [{ sid: `${ID}3` }, { sub: '42', sv: 3 }, { sub: '43', sv: 9 }, { kid: 'another' }, { all: true, inc: 7 }, { all: true, inc: 8, partition: 41 }]) issuer.revoke(entry)
  await until('all have come', () => validator.status().revocations === 6)
  assert.equal(await outcome(validator, issuer.token()), 'ok')
})

test('knowledge that is too old says 503 with a time to wait, and no longer than that', async () => {
  const validator = await follow()
  const token = await issuer.token()
  issuer.isBeating = false
  clock.ahead += 1500
  assert.equal(await outcome(validator, token), 'ok', 'not yet')
  clock.ahead += 1000
  const error = await validator.verify(token).catch((it) => it)
  assert.deepEqual([error.status, error.code, error.retryAfter, error.wwwAuthenticate], [503, 'dependency_unavailable', 1, undefined])
  assert.equal(error.isVerdict, false)
})

test('a heartbeat is as old as it says and not as it arrives', async () => {
  const validator = await follow({ maxStaleness: 2 })
  issuer.lateMs = 10_000
  await until('the knowledge is stale', () => !validator.status().isFresh)
  issuer.lateMs = 0
  await until('it is fresh again', () => validator.status().isFresh)
})

test('while the knowledge is stale, the issuer is asked where that is wanted', async () => {
  const validator = await follow({ onStale: 'introspect' })
  issuer.isBeating = false
  issuer.instead['/revocations/stream'] = (_, response) => response.destroy()
  issuer.cut()
  const token = await issuer.token()
  clock.ahead += 3000
  assert.equal(await outcome(validator, token), 'ok')
  assert.match(issuer.asked['/oauth2/introspect'][0].body, /^token=[^&]+&token_type_hint=access_token$/)
  issuer.instead['/oauth2/introspect'] = (_, response) => json(response, 200, { active: false }) ?? true
  assert.equal(await outcome(validator, token), 'token_revoked')
  for (const answer of [(response) => json(response, 503, {}), (response) => json(response, 200, {}), (response) => response.destroy()]) {
    issuer.instead['/oauth2/introspect'] = (_, response) => answer(response) ?? true
    assert.equal(await outcome(validator, token), 'dependency_unavailable')
  }
})

test('where the service is to outlive its issuer, what is known to be revoked stays so', async () => {
  const validator = await follow({ onStale: 'allow' })
  issuer.revoke({ sid: `${ID}3` })
  await until('it has come', () => validator.status().revocations === 1)
  await issuer.stop()
  clock.ahead += 3000
  assert.equal(await outcome(validator, issuer.token()), 'ok')
  assert.equal(await outcome(validator, issuer.token({ sid: `${ID}3` })), 'token_revoked')
})

test('a stream that breaks, falls silent or sends away is gone on with behind the last event', async () => {
  const validator = await follow({ silenceTimeout: 0.3 })
  issuer.revoke({ sid: `${ID}5` })
  await until('it has come', () => validator.status().revocations === 1)
  for (const trouble of [() => issuer.cut(), () => issuer.send('reconnect', {}), () => { issuer.isBeating = false }]) {
    const before = issuer.count('/revocations/stream')
    trouble()
    await until('it comes again', () => issuer.count('/revocations/stream') > before)
    issuer.isBeating = true
    assert.equal(issuer.asked['/revocations/stream'].at(-1).headers['last-event-id'], '1')
  }
  assert.equal(issuer.count('/revocations'), 1, 'and the list is not fetched for it')
})

for (const [what, send] of [
  ['an entry of a kind that is not known', () => issuer.send('revocation', { colour: 'red', exp: 9 })],
  ['an event that is no JSON', () => issuer.send('heartbeat', undefined)],
  ['a wish to begin anew', () => issuer.send('reset', {})],
]) {
  test(`${what} makes the list be fetched`, async () => {
    await follow()
    await until('the stream is open', () => issuer.open === 1)
    send()
    await until('the list is fetched', () => issuer.count('/revocations') === 2)
  })
}

test('an own token that is not taken any more is replaced', async () => {
  await follow()
  await until('the stream is open', () => issuer.open === 1)
  issuer.instead['/revocations/stream'] = (_, response) => {
    delete issuer.instead['/revocations/stream']
    return json(response, 401, {}) ?? true
  }
  issuer.cut()
  await until('another one is got', () => issuer.count('/oauth2/token') === 2)
  await until('the stream is open', () => issuer.open === 1)
})

test('unknown key ids cause one fetch in a cool-down, and a new key is found', async () => {
  const validator = await follow()
  for (let times = 0; times < 5; times += 1) assert.equal(await outcome(validator, issuer.token({}, { kid: `k${times}` })), 'invalid_token')
  assert.equal(issuer.count('/jwks'), 2)
  await issuer.newKey()
  assert.equal(await outcome(validator, issuer.token()), 'invalid_token', 'by the keys that were just fetched')
  clock.ahead += 11_000
  await until('the new key is found', async () => (await outcome(validator, issuer.token())) === 'ok')
})

test('an unknown key is no verdict while the issuer cannot be asked', async () => {
  const validator = await follow()
  issuer.instead['/jwks'] = (_, response) => json(response, 503, {}) ?? true
  assert.equal(await outcome(validator, issuer.token({}, { kid: 'new' })), 'dependency_unavailable')
  assert.equal(await outcome(validator, issuer.token()), 'ok', 'the last good set is in use')
})

test('a set that is broken or empty is none', async () => {
  const validator = await follow()
  for (const body of ['{"keys":[]}', '{}', 'x', `{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"k","x":"AA","y":"AA"}]}`]) {
    issuer.instead['/jwks'] = (_, response) => response.end(body)
    clock.ahead += 11_000
    await outcome(validator, issuer.token({}, { kid: 'new' }))
    assert.equal(validator.status().keys, 1, body)
  }
})

test('by polling, the list is asked for when it is needed and named by its tag', async () => {
  const validator = await follow({ feed: 'poll' })
  const token = await issuer.token()
  assert.equal(await outcome(validator, token), 'ok')
  assert.deepEqual([issuer.count('/revocations'), issuer.count('/revocations/stream')], [1, 0])
  clock.ahead += 2500
  await Promise.all([1, 2, 3].map(async () => assert.equal(await outcome(validator, token), 'ok')))
  assert.equal(issuer.count('/revocations'), 2, 'once for all who ask')
  assert.equal(issuer.asked['/revocations'][1].headers['if-none-match'], '"0"')
  issuer.revoke({ sid: `${ID}2` })
  assert.equal(await outcome(validator, token), 'ok', 'within the time that was allowed')
  clock.ahead += 2500
  assert.equal(await outcome(validator, token), 'token_revoked')
  await issuer.stop()
  clock.ahead += 2500
  assert.equal(await outcome(validator, token), 'token_revoked', 'what is known stays known')
  assert.equal(await outcome(validator, issuer.token({ sid: `${ID}4` })), 'dependency_unavailable')
})

test('by polling, an issuer that does not answer is not asked for each token', async () => {
  for (const lazy of [false, true]) {
    const validator = await follow({ feed: 'poll', lazy })
    const path = lazy ? '/.well-known/oauth-authorization-server' : '/revocations'
    issuer.instead[path] = (_, response) => json(response, 503, {}, { 'retry-after': '7' }) ?? true
    clock.ahead += 2500
    const before = issuer.count(path)
    for (let times = 0; times < 20; times += 1) assert.equal(await outcome(validator, issuer.token()), 'dependency_unavailable')
    assert.equal(issuer.count(path) - before, 1)
    delete issuer.instead[path]
    clock.ahead += 7500
    assert.equal(await outcome(validator, issuer.token()), 'ok')
  }
})

test('by introspection, each token that is right is asked about and no other', async () => {
  const validator = await follow({ feed: 'introspect' })
  assert.equal(await outcome(validator, issuer.token()), 'ok')
  assert.equal(await outcome(validator, issuer.token({ aud: 'x' })), 'invalid_token')
  assert.deepEqual([issuer.count('/oauth2/introspect'), issuer.count('/revocations')], [1, 0])
  issuer.instead['/oauth2/introspect'] = (_, response) => json(response, 200, { active: false }) ?? true
  assert.equal(await outcome(validator, issuer.token()), 'token_revoked')
})

test('a service can start before its issuer does', async () => {
  issuer.instead['/.well-known/oauth-authorization-server'] = (_, response) => json(response, 503, {}) ?? true
  const validator = await follow({ lazy: true })
  assert.equal(await outcome(validator, issuer.token()), 'dependency_unavailable')
  await until('the problem is told', () => problems.length > 0)
  delete issuer.instead['/.well-known/oauth-authorization-server']
  await until('it is there', async () => (await outcome(validator, issuer.token())) === 'ok')
  assert.match(problems[0].message, /503/)
})

test('without what it needs nothing begins', async () => {
  const broken = {
    "another issuer's metadata": [{ issuer: 'https://other.example.com' }, MetadataError],
    'an endpoint elsewhere': [{ token_endpoint: 'https://evil.example.com/token' }, MetadataError],
    'no feed': [{ hallpass_revocations_endpoint: null }, MetadataError],
  }
  for (const [what, [metadata, kind]] of Object.entries(broken)) {
    issuer.metadata = metadata
    await assert.rejects(follow(), kind, what)
  }
  issuer.metadata = {}
  issuer.instead['/jwks'] = (_, response) => response.writeHead(302, { location: `${issuer.url}/elsewhere` }).end()
  await assert.rejects(follow(), /302/, 'no redirect is followed')
  assert.equal(issuer.count('/elsewhere'), 0)
})

test('settings that do not fit together are refused', async () => {
  for (const options of [{ clientSecret: undefined }, { issuer: 'http://id.example.com' }, { issuer: 'ftp://id.example.com' }, { issuer: 'id' }, { audience: [] }, { reachAt: 'http://hallpass:8080' }]) {
    await assert.rejects(follow(options), SettingsError, inspect(options))
  }
})

test('an issuer can be reached by another way', async () => {
  const name = 'https://id.example.com'
  issuer.metadata = {
    issuer: name,
    jwks_uri: `${name}/jwks`,
    token_endpoint: `${name}/oauth2/token`,
    introspection_endpoint: `${name}/oauth2/introspect`,
    hallpass_revocations_endpoint: `${name}/revocations`,
    hallpass_revocations_stream_endpoint: `${name}/revocations/stream`,
  }
  const validator = await follow({ issuer: name, reachAt: issuer.url })
  assert.equal(await outcome(validator, issuer.token({ iss: name })), 'ok')
})

test('whoever keeps express-jwt asks the hook', async () => {
  const validator = await follow()
  const header = { alg: 'ES256', typ: 'at+jwt', kid: issuer.kid }
  assert.equal(await validator.isRevoked({}, { header, payload: issuer.claims() }), false)
  issuer.revoke({ sub: '42', sv: 4 })
  await until('it is heard of', () => validator.isRevoked({}, { header, payload: issuer.claims() }))
  await assert.rejects(validator.isRevoked({}, { header: { ...header, typ: 'JWT' }, payload: issuer.claims() }), { status: 401 })
  await assert.rejects(validator.isRevoked({}, undefined), { status: 401 })
  clock.ahead += 3000
  issuer.isBeating = false
  await assert.rejects(validator.isRevoked({}, { header, payload: issuer.claims({ sub: '43' }) }), { status: 503 })
})

test('after its end it says nothing of tokens, and asks nobody', async () => {
  const validator = await follow()
  await validator.close()
  assert.equal(await outcome(validator, issuer.token()), 'dependency_unavailable')
  await until('the stream is closed', () => issuer.open === 0)
})

test('no secret and no token is shown', async () => {
  const validator = await follow()
  const token = await issuer.token({ sid: `${ID}9` })
  issuer.instead['/oauth2/token'] = (_, response) => json(response, 401, { error: 'invalid_client' }) ?? true
  const failed = await follow().catch((error) => error)
  await issuer.stop()
  clock.ahead += 3000
  const refused = await validator.verify(token).catch((error) => error)
  await until('a problem is told', () => problems.length > 0)
  const shown = inspect([validator, failed, refused, problems], { depth: 20, showHidden: true })
  for (const secret of [SECRET, 'own-token', token, Buffer.from(`orders:${SECRET}`).toString('base64')]) assert(!shown.includes(secret))
})
