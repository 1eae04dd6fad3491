// A real `hallpass dev`, for tests: the program that HALLPASS_PROGRAM names.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const PROGRAM = process.env.HALLPASS_PROGRAM
export const CLIENT = { clientId: 'books', clientSecret: 'books-dev-secret' }

export class Service {
  static async start() {
    const service = new Service()
    service.folder = await mkdtemp(join(tmpdir(), 'hallpass-node-'))
    const args = ['dev', '--listen', '127.0.0.1:0', '--data-dir', join(service.folder, 'data')]
    const env = { PATH: process.env.PATH, HALLPASS_RATE_LIMITS__ENABLED: 'false' }
    service.child = spawn(PROGRAM, args, { env, stdio: ['ignore', 'pipe', 'ignore'] })
    let out = ''
    for await (const piece of service.child.stdout) {
      out += piece
      service.url = /Docs +(http:\/\/[^/]+)\/docs/.exec(out)?.[1]
      if (service.url) break
    }
    if (!service.url) throw new Error(`hallpass does not start: ${out}`)
    return service
  }

  async post(path, { body, headers } = {}) {
    const answer = await fetch(`${this.url}${path}`, { method: 'POST', headers, body })
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return answer.json().catch(() => undefined)
  }

  /** The access token of somebody who has just registered. */
  async person(name) {
    const body = JSON.stringify({ email: `${name}@example.com`, password: 'correct horse battery staple' })
    const call = { body, headers: { 'content-type': 'application/json' } }
    await this.post('/auth/register', call)
    return (await this.post('/auth/login', call)).accessToken
  }

  /** An access token that the sample client got for itself. */
  async machine() {
    const headers = { authorization: `Basic ${btoa(`${CLIENT.clientId}:${CLIENT.clientSecret}`)}` }
    return (await this.post('/oauth2/token', { body: new URLSearchParams({ grant_type: 'client_credentials' }), headers })).access_token
  }

  logOut(token) {
    return this.post('/auth/logout', { headers: { authorization: `Bearer ${token}` } })
  }

  async stop() {
    if (this.child.exitCode === null) {
      this.child.kill()
      await once(this.child, 'exit')
    }
    await rm(this.folder, { recursive: true, force: true })
  }
}
