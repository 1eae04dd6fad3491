import { uuid } from './claims.js'
import { JsonError, type JsonReader, Members, required } from './json.js'

/** One thing that was taken back. `exp`: until when that matters, seconds since 1970. */
export type Revocation = { exp: bigint } & (
  | { kind: 'token' | 'session' | 'key'; id: string }
  | { kind: 'user'; sub: string; sv: bigint }
  | { kind: 'all'; inc: bigint; partition: number | undefined }
)

const NAMES = new Set('jti sid sub kid all sv inc partition exp'.split(' '))

/**
 * Reads an entry of the feed.
 *
 * @throws {Error} for one of no kind that is known here: passing over it would let in what the issuer has taken back
 */
export function readRevocation(reader: JsonReader): Revocation {
  const map = reader.members(NAMES)
  // Here `null` is as good as silence.
  const given = new Map([...map].filter(([name, value]) => name === 'exp' || value !== null))
  const members = new Members(given)
  const kind = [...given.keys()].filter((name) => name !== 'exp').sort().join(' ')
  return { exp: required(members.i64('exp')), ...target(kind, members) } as Revocation
}

function target(kind: string, members: Members) {
  switch (kind) {
    case 'jti':
      return { kind: 'token', id: required(uuid(required(members.text('jti')))) }
    case 'sid':
      return { kind: 'session', id: required(uuid(required(members.text('sid')))) }
    case 'kid':
      return { kind: 'key', id: required(members.text('kid')) }
    case 'sub sv':
      return { kind: 'user', sub: required(members.text('sub')), sv: required(members.i64('sv')) }
    case 'all inc':
    case 'all inc partition':
      return { kind: 'all', inc: required(allInc(members)), partition: partition(members) }
    default:
      throw new JsonError('a revocation of a kind that is not known here')
  }
}

function allInc(members: Members): bigint | undefined {
  return members.flag('all') ? members.u64('inc') : undefined
}

function partition(members: Members): number | undefined {
  const number = members.u64('partition')
  if (number !== undefined && number > PEOPLE) throw new JsonError('there is no such partition')
  return number === undefined ? undefined : Number(number)
}

/** Partitions of people; what is no person's belongs to the one behind. */
const PEOPLE = 64n
const U64_MAX = 2n ** 64n - 1n

/** The part of the issuer's memory that a token with this `sub` belongs to. */
export function partitionOf(sub: string): number {
  const number = /^(?:0|[1-9][0-9]{0,19})$/.test(sub) ? BigInt(sub) : undefined
  return Number(number !== undefined && number <= U64_MAX ? number % PEOPLE : PEOPLE)
}

/** Whether a `sub` is that of an account: a number. */
export function isAccount(sub: string): boolean {
  return partitionOf(sub) < PEOPLE
}
