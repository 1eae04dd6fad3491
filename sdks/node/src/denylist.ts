import type { Claims } from './claims.js'
import { isAccount, partitionOf, type Revocation } from './revocation.js'

/** Tokens that bear a number below this one do not stand. */
interface CutOff {
  below: bigint
  exp: number
}

/** Ends beyond this year 2106 never come. */
const LAST_SECOND = 2 ** 32 - 1

/** What has been taken back, as far as this process knows. */
export class Denylist {
  readonly #tokens = new Map<string, number>()
  readonly #sessions = new Map<string, number>()
  readonly #keys = new Map<string, number>()
  readonly #subjects = new Map<string, CutOff>()
  /** By partition; -1 stands for all. */
  readonly #parts = new Map<number, CutOff>()

  /** Takes in a revocation. Twice the same is as good as once. */
  insert(revocation: Revocation): void {
    const exp = expiry(revocation.exp)
    switch (revocation.kind) {
      case 'token':
        return keepLonger(this.#tokens, revocation.id, exp)
      case 'session':
        return keepLonger(this.#sessions, revocation.id, exp)
      case 'key':
        return keepLonger(this.#keys, revocation.id, exp)
      case 'user':
        return join(this.#subjects, revocation.sub, { below: revocation.sv, exp })
      case 'all':
        return join(this.#parts, revocation.partition ?? -1, { below: revocation.inc, exp })
    }
  }

  /** Whether anything here speaks against a token with these claims that the key `kid` signed. */
  isRevoked(claims: Pick<Claims, 'jti' | 'sid' | 'sub' | 'sv' | 'inc' | 'clientId' | 'actors'>, kid: string): boolean {
    const subject = this.#subjects.get(claims.sub)
    return (
      this.#tokens.has(claims.jti) ||
      (claims.sid !== undefined && this.#sessions.has(claims.sid)) ||
      this.#keys.has(kid) ||
      // A token without a version is older than any.
      (subject !== undefined && (claims.sv === undefined || claims.sv < subject.below)) ||
      this.#isDeleted(claims.clientId) ||
      claims.actors.some((actor) => this.#isDeleted(actor)) ||
      concerns(this.#parts.get(-1), claims.inc) ||
      concerns(this.#parts.get(partitionOf(claims.sub)), claims.inc)
    )
  }

  /** Whether that is a client which was deleted: what is told of an account says nothing about clients. */
  #isDeleted(id: string): boolean {
    return this.#subjects.has(id) && !isAccount(id)
  }

  /** Forgets the entries that ended at `now`, seconds since 1970, or before. */
  prune(now: bigint): void {
    const end = expiry(now)
    for (const ids of [this.#tokens, this.#sessions, this.#keys]) {
      for (const [id, exp] of ids) if (exp <= end) ids.delete(id)
    }
    for (const cutOffs of [this.#subjects, this.#parts] as Map<unknown, CutOff>[]) {
      for (const [key, { exp }] of cutOffs) if (exp <= end) cutOffs.delete(key)
    }
  }

  /** How many entries there are. */
  get size(): number {
    return this.#tokens.size + this.#sessions.size + this.#keys.size + this.#subjects.size + this.#parts.size
  }
}

function concerns(cutOff: CutOff | undefined, inc: bigint): boolean {
  return cutOff !== undefined && inc < cutOff.below
}

function keepLonger(ids: Map<string, number>, id: string, exp: number): void {
  ids.set(id, Math.max(exp, ids.get(id) ?? 0))
}

/** Of two cut-offs both hold, which is the greater one for as long as either. */
function join<K>(cutOffs: Map<K, CutOff>, key: K, { below, exp }: CutOff): void {
  const known = cutOffs.get(key)
  const greater = known && known.below > below ? known.below : below
  cutOffs.set(key, { below: greater, exp: Math.max(exp, known?.exp ?? 0) })
}

function expiry(seconds: bigint): number {
  return Math.min(Math.max(Number(seconds), 0), LAST_SECOND)
}
