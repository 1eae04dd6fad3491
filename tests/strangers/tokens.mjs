// Tokens to try: those of a running service, and others that are made here with its key. As JSON on stdout.
//
//   node tokens.mjs SERVICE_URL KEY_FILE ALGORITHM
import { readFileSync } from 'node:fs'

import { base64url, generateKeyPair, importPKCS8, SignJWT } from 'jose'

const [service, keyFile, alg] = process.argv.slice(2)
const key = await importPKCS8(readFileSync(keyFile, 'utf8'), alg)

async function post(path, { json, form, authorization } = {}) {
  const headers = { ...(authorization && { authorization }), ...(json && { 'content-type': 'application/json' }) }
  const body = json ? JSON.stringify(json) : form && new URLSearchParams(form)
  const answer = await fetch(`${service}${path}`, { method: 'POST', headers, body })
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`)
  return answer.json().catch(() => undefined)
}

async function person(name) {
  const json = { email: `${name}@example.com`, password: 'correct horse battery staple' }
  await post('/auth/register', { json })
  return (await post('/auth/login', { json })).accessToken
}

const good = await person('ada')
const loggedOut = await person('eve')
await post('/auth/logout', { authorization: `Bearer ${loggedOut}` })
const books = `Basic ${btoa('books:books-dev-secret')}`
const machine = await post('/oauth2/token', { form: { grant_type: 'client_credentials' }, authorization: books })

const [header, claims] = good.split('.').slice(0, 2).map((part) => JSON.parse(new TextDecoder().decode(base64url.decode(part))))
const signed = (change, by = key, as = {}) => new SignJWT({ ...claims, ...change }).setProtectedHeader({ ...header, ...as }).sign(by)
const foreign = (await generateKeyPair(alg)).privateKey
const { keys } = await (await fetch(`${service}/.well-known/jwks.json`)).json()
const publicKey = new TextEncoder().encode(JSON.stringify(keys.find(({ kid }) => kid === header.kid)))
const now = Math.floor(Date.now() / 1000)
const none = base64url.encode(JSON.stringify({ alg: 'none', typ: 'at+jwt', kid: header.kid }))

const tokens = {
  good,
  // What nobody may let in.
  'another key': await signed({}, foreign),
  'a key that nobody knows': await signed({}, foreign, { kid: 'unknown' }),
  'the public key as a shared secret': await signed({}, publicKey, { alg: 'HS256' }),
  'no signature': `${none}.${good.split('.')[1]}.`,
  expired: await signed({ iat: now - 7200, exp: now - 3600 }),
  // What a library may need to be told of.
  'another audience': await signed({ aud: 'https://other.example.com' }),
  'another issuer': await signed({ iss: 'https://other.example.com' }),
  'another typ': await signed({}, key, { typ: 'id+jwt' }),
  // What says nothing of a person, or nothing more.
  'a machine': machine.access_token,
  'logged out': loggedOut,
}
if (header.alg !== alg) throw new Error('the service signs with another algorithm')
console.log(JSON.stringify({ service, tokens }))
