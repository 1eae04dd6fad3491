// The probe of the vectors (verify/vectors/README.md): lines of JSON on stdin, a verdict for each on stdout. It asks the
// package as it is built or installed.
import { admit, createValidator, TokenError } from 'hallpass-verify'

const inside = (name) => import(new URL(name, import.meta.resolve('hallpass-verify')))
const { Check, stale } = await inside('check.js')
const { Feed } = await inside('feed.js')
const { KeyKeeper } = await inside('keyKeeper.js')
const { Listener } = await inside('listener.js')

const keySets = new Map()

/** The verdict of whatever checks a token. */
async function verdict(check, more = () => ({})) {
  try {
    await check()
    return { verdict: 'ok' }
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    return { verdict: 'refused', code: error.code, status: error.status, ...more(error) }
  }
}

/** An issuer that publishes those keys and has taken nothing back. */
function issuerOf({ issuer, keys, now_ms: now }) {
  const place = (path) => new URL(path, issuer).href
  const metadata = {
    issuer,
    jwks_uri: place('/jwks'),
    token_endpoint: place('/token'),
    hallpass_revocations_endpoint: place('/revocations'),
  }
  const list = { cursor: 'c', entries: [], server_time: Math.floor(now / 1000), server_time_ms: now }
  const answers = {
    '/jwks': keySets.get(keys),
    '/token': JSON.stringify({ access_token: 'own', expires_in: 900 }),
    '/revocations': JSON.stringify(list),
  }
  return async (url) => {
    const body = answers[new URL(url).pathname] ?? JSON.stringify(metadata)
    return new Response(body, { headers: { 'hallpass-clock': String(now) } })
  }
}

function validatorOf(line) {
  return createValidator({
    issuer: line.issuer,
    audience: line.audience,
    clientId: 'probe',
    clientSecret: 'secret',
    typ: line.typ,
    leeway: line.leeway_ms / 1000,
    feed: 'poll',
    lazy: true,
    fetch: issuerOf(line),
    clock: { now: () => line.now_ms, monotonic: () => 0 },
    onProblem: () => undefined,
  })
}

const needs = ({ person, roles = [], scopes = [] } = {}, personUnlessSaid) => ({
  machines: !(person ?? personUnlessSaid),
  role: roles,
  scopes,
})

const kinds = {
  keys({ name, jwks }) {
    keySets.set(name, jwks)
    return { verdict: 'ok' }
  },

  async token(line) {
    const validator = await validatorOf(line)
    return verdict(() => validator.verify(line.token, needs(line.require, false)))
  },

  async request(line) {
    const validator = await validatorOf(line)
    return verdict(
      () => admit(validator, line.authorization, needs(line.require, true)),
      ({ wwwAuthenticate, retryAfter }) => ({
        challenge: wwwAuthenticate?.replace(/, error_description="[^"]*"/, '') ?? null,
        retry_after: retryAfter ?? null,
      }),
    )
  },

  async feed(line) {
    const transcript = new Transcript(line)
    const steps = []
    for (const step of line.steps) steps.push(await transcript.step(step))
    return { steps }
  },
}

/** A validator that hears what a transcript says: its parts, without requests of its own. */
class Transcript {
  #time = { at: 0, now: 0 }
  #line
  #check
  #feed
  #keys
  #listener
  #stream
  #published

  constructor(line) {
    this.#line = line
    const clock = { now: () => this.#time.now, monotonic: () => this.#time.at }
    const leeway = BigInt(Math.floor(line.leeway_ms / 1000))
    const rules = { issuer: line.issuer, audiences: [line.audience].flat(), typ: line.typ, leeway }
    const http = { send: async () => this.#jwks() }
    this.#feed = new Feed(clock)
    this.#keys = new KeyKeeper({ http }, rules, clock, 0, 100)
    this.#keys.at(new URL('https://issuer.example/jwks'))
    const pace = { leeway, silence: 3, maxStaleness: line.max_staleness_ms / 1000 }
    this.#listener = new Listener(this.#feed, this.#keys, clock, pace, line.stream)
    const { maxStaleness } = pace
    this.#check = new Check(this.#keys, this.#feed, rules, clock, maxStaleness, line.policy === 'allow')
  }

  async step(step) {
    this.#time = { at: step.at_ms, now: step.now_ms ?? this.#time.now }
    if (step.do === 'keys') return this.#publish(step)
    if (step.do === 'check') return verdict(() => this.#judge(step.token))
    return this.#heard(() => this[step.do](step))
  }

  async list({ asked_ms: askedAt, status, headers, body }) {
    await this.#listener.list(askedAt, { status, headers: new Headers(headers), body: body ?? '' })
  }

  open({ asked_ms: askedAt, status, headers }) {
    this.#stream = this.#listener.opened(askedAt, status, new Headers(headers))
  }

  bytes({ text, base64 }) {
    const bytes = text === undefined ? Buffer.from(base64, 'base64') : Buffer.from(text)
    this.#listener.read(this.#stream, bytes)
    if (this.#listener.isOver(this.#stream)) this.#stream = undefined
  }

  end() {
    this.#stream = undefined
  }

  async #heard(hear) {
    let asked
    try {
      await hear()
    } catch (error) {
      this.#stream = undefined
      this.#listener.interrupted(error)
      asked = error.retryAfter
    }
    const wait = asked === undefined ? {} : { wait_ms: Math.min(asked, 30) * 1000 }
    return { ...this.#next(), ...wait }
  }

  #next() {
    if (this.#stream) return { next: 'read' }
    const { cursor } = this.#listener
    if (cursor === undefined || !this.#line.stream) return { next: 'list' }
    return { next: 'open', last_event_id: cursor }
  }

  async #publish({ keys }) {
    this.#published = keys
    await this.#keys.fetch(true).catch(() => undefined)
    return {}
  }

  #jwks() {
    if (this.#published === null || this.#published === undefined) throw new Error('the issuer cannot be asked')
    return { status: 200, headers: new Headers(), body: keySets.get(this.#published) }
  }

  async #judge(token) {
    const known = await this.#check.known(token)
    if (!this.#check.stands(known.claims, known.kid)) throw stale()
  }
}

async function live([issuer, audience, clientId]) {
  const clientSecret = process.env.HALLPASS_CLIENT_SECRET
  const validator = await createValidator({ issuer, audience, clientId, clientSecret, lazy: true, onProblem: () => undefined })
  while (!validator.status().isFresh || validator.status().keys === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  console.log('ready')
  await answerLines(async (token) => verdict(() => validator.verify(token, { machines: true })))
  await validator.close()
}

/** Lines end with LF and nothing else; readline ends them with U+2028 as well. */
async function* lines() {
  let rest = ''
  process.stdin.setEncoding('utf8')
  for await (const piece of process.stdin) {
    const whole = (rest + piece).split('\n')
    rest = whole.pop()
    yield* whole
  }
  if (rest !== '') yield rest
}

async function answerLines(answer) {
  for await (const line of lines()) console.log(JSON.stringify(await answer(line)))
}

const [mode, ...settings] = process.argv.slice(2)
if (mode === 'live') await live(settings)
else {
  await answerLines((text) => {
    const line = JSON.parse(text)
    return kinds[line.kind]?.(line) ?? { verdict: 'skipped' }
  })
}
