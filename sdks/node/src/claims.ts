import { type Json, JsonError, Members, membersOf, required } from './json.js'

/** The claims of an access token (RFC 9068 2.2) that a check goes by. A machine's token has no `sid` and no `sv`. */
export interface Claims {
  iss: string
  aud: string[]
  sub: string
  exp: bigint
  iat: bigint
  nbf?: bigint | undefined
  /** 32 hexadecimal digits, as of `sid`. */
  jti: string
  sid?: string | undefined
  sv?: bigint | undefined
  inc: bigint
  clientId: string
  /** Who acts for the subject (RFC 8693 4.1), the present actor first. */
  actors: string[]
  roles: string[]
  scope?: string | undefined
}

const NAMES = new Set(
  'iss aud sub exp iat nbf jti sid sv inc client_id email email_verified auth_time amr acr roles scope act may_act'.split(
    ' ',
  ),
)
/** What is looked at in those that are objects. */
const WITHIN = new Map([
  ['act', new Set(['sub', 'act'])],
  ['may_act', new Set(['sub'])],
])
/** How many may have acted one for the other. */
const DEEPEST_CHAIN = 126

/**
 * Reads claims out of a payload: each has exactly the type that hallpass writes.
 *
 * @throws {Error} where one is missing, of another type, `null`, or there twice
 */
export function readClaims(payload: string): Claims {
  return claimsOf(membersOf(payload, NAMES, WITHIN))
}

function claimsOf(map: Map<string, Json>): Claims {
  const members = new Members(map)
  members.text('email')
  members.flag('email_verified')
  members.i64('auth_time')
  members.texts('amr')
  members.text('acr')
  mayAct(members)
  const sid = members.text('sid')
  return {
    iss: required(members.text('iss')),
    aud: required(members.textOrTexts('aud')),
    sub: required(members.text('sub')),
    exp: required(members.i64('exp')),
    iat: required(members.i64('iat')),
    nbf: members.i64('nbf'),
    jti: required(uuid(required(members.text('jti')))),
    sid: sid === undefined ? undefined : required(uuid(sid)),
    sv: members.i64('sv'),
    inc: required(members.u64('inc')),
    clientId: required(members.text('client_id')),
    actors: actors(members),
    roles: required(members.texts('roles')),
    scope: members.text('scope'),
  }
}

/** The chain of actors in an `act`, the present one first. */
function actors(members: Members): string[] {
  const chain = []
  for (let act = members.object('act'); act; act = act.object('act')) {
    if (chain.length === DEEPEST_CHAIN) throw new JsonError('too deep')
    chain.push(required(act.text('sub')))
  }
  return chain
}

function mayAct(members: Members): void {
  const named = members.object('may_act')
  if (named) required(named.text('sub'))
}

const HYPHENATED = '([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})'
const FORMS = ['([0-9a-f]{32})', HYPHENATED, `\\{${HYPHENATED}\\}`, `urn:uuid:${HYPHENATED}`].map(
  (form) => new RegExp(`^${form}$`, 'i'),
)

/** A UUID (RFC 9562) in one spelling of many; undefined where the text is none. */
export function uuid(text: string): string | undefined {
  for (const form of FORMS) {
    const digits = form.exec(text)?.slice(1).join('')
    if (digits !== undefined) return digits.toLowerCase()
  }
  return undefined
}
