import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { createValidator } from 'hallpass-verify'

import { until } from './issuer.mjs'
import { CLIENT, PROGRAM, Service } from './service.mjs'

const DOCUMENT = process.env.HALLPASS_DOCUMENT ?? join(import.meta.dirname, '../../../docs/validate.md')
const README = process.env.HALLPASS_README ?? join(import.meta.dirname, '../README.md')

describe('beside a real hallpass', { skip: !PROGRAM && 'HALLPASS_PROGRAM names no program' }, () => {
  let service
  const validators = []

  before(async () => {
    service = await Service.start()
  })
  after(async () => {
    await Promise.all(validators.map((validator) => validator.close()))
    await service.stop()
  })

  async function follow(options = {}) {
    const settings = { issuer: service.url, audience: service.url, ...CLIENT, onProblem: () => undefined, ...options }
    const validator = await createValidator(settings)
    validators.push(validator)
    return validator
  }

  const code = (validator, token, needs) => validator.verify(token, needs).then(() => 'ok', (error) => error.code)

  test('a logout is heard of, by each way', async () => {
    for (const [feed, name] of [['stream', 'ada'], ['poll', 'bob'], ['introspect', 'eve']]) {
      const validator = await follow({ feed })
      const token = await service.person(name)
      assert.equal(await code(validator, token), 'ok', feed)
      await service.logOut(token)
      await until(`${feed} hears of it`, async () => (await code(validator, token)) === 'token_revoked')
    }
  })

  test('a token for somebody else is refused, and a machine where nobody asked for one', async () => {
    const validator = await follow()
    const elsewhere = await follow({ audience: 'https://other.example.com' })
    assert.equal(await code(elsewhere, await service.person('cyd')), 'invalid_token')
    const machine = await service.machine()
    assert.equal(await code(validator, machine), 'forbidden')
    assert.equal(await code(validator, machine, { machines: true }), 'ok')
  })

  test('the quickstart of the README learns of a logout', async () => {
    const [, quickstart] = /\n```js\n(.*?)\n```\n/s.exec(await readFile(README, 'utf8'))
    assert(quickstart.split('\n').length <= 16)
    assert((await readFile(DOCUMENT, 'utf8')).includes(`\n\`\`\`mjs\n${quickstart}\n\`\`\`\n`), 'docs/validate.md has the same')
    const folder = await mkdtemp(join(import.meta.dirname, 'quickstart-'))
    const port = await freePort()
    await writeFile(join(folder, 'server.mjs'), quickstart)
    const env = { PATH: process.env.PATH, PORT: port, HALLPASS_ISSUER: service.url, HALLPASS_CLIENT_SECRET: CLIENT.clientSecret }
    const server = spawn(process.execPath, ['server.mjs'], { cwd: folder, env, stdio: 'inherit' })
    try {
      const token = await service.person('dan')
      const me = () => fetch(`http://127.0.0.1:${port}/me`, { headers: { authorization: `Bearer ${token}` } })
      await until('it listens', () => me().then(() => true, () => false))
      assert.equal((await me()).status, 200)
      await service.logOut(token)
      await until('it refuses the token', async () => (await me()).status === 401)
      assert.equal((await (await me()).json()).code, 'token_revoked')
    } finally {
      server.kill()
      await once(server, 'exit')
      await rm(folder, { recursive: true })
    }
  })

  test('when the service is gone, what happens is what onStale says', async () => {
    const expected = { reject: 'dependency_unavailable', introspect: 'dependency_unavailable', allow: 'ok' }
    const policies = await Promise.all(Object.keys(expected).map(async (onStale) => [onStale, await follow({ onStale })]))
    const token = await service.person('fay')
    for (const [onStale, validator] of policies) assert.equal(await code(validator, token), 'ok', onStale)
    await service.stop()
    for (const [onStale, validator] of policies) {
      await until('the knowledge is stale', () => !validator.status().isFresh)
      assert.equal(await code(validator, token), expected[onStale], onStale)
    }
  })
})

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
