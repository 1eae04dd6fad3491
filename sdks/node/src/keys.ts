import { base64url, compactVerify, type CryptoKey, errors, importJWK, type JWK } from 'jose'

import { decode } from './base64url.js'
import { type Json, Members, membersOf } from './json.js'

/** The algorithms that hallpass signs with. A key has one, and a token's header never chooses (RFC 8725 3.1). */
export type Algorithm = 'ES256' | 'RS256' | 'EdDSA'

/** RSA moduli, in bytes: from 2048 bits (RFC 7518 3.3) to 8192. */
const RSA_MODULUS_BYTES = { least: 256, most: 1024 }
const ED25519_KEY_BYTES = 32
/** A coordinate on P-256. */
const P256_BYTES = 32

/** The points of Ed25519 whose order divides eight, without the sign of x: under them one signature fits many messages. */
const ED25519_SMALL_ORDER = new Set([
  `00${'00'.repeat(30)}00`,
  `01${'00'.repeat(30)}00`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
])

const COMMON = ['kid', 'alg', 'use', 'x5u', 'x5t', 'x5t#S256']

/** A public key and the one algorithm that it is for. */
export class VerificationKey {
  readonly algorithm: Algorithm
  /** Undefined where the bytes are no point of the curve: such a key has signed nothing. */
  readonly #key: CryptoKey | undefined

  private constructor(algorithm: Algorithm, key: CryptoKey | undefined) {
    this.algorithm = algorithm
    this.#key = key
  }

  static async of(jwk: JWK, algorithm: Algorithm): Promise<VerificationKey> {
    const key = await importJWK(jwk, algorithm).catch(() => undefined)
    return new VerificationKey(algorithm, key instanceof Uint8Array ? undefined : key)
  }

  /** Whether the key made the signature of this token, whose outer form has been looked at. */
  async signed(token: string): Promise<boolean> {
    if (!this.#key) return false
    try {
      await compactVerify(token, this.#key, { algorithms: [this.algorithm] })
      return true
    } catch (error) {
      if (error instanceof errors.JOSEError) return false
      throw error
    }
  }
}

/** The public keys of an issuer, by `kid`. */
export class KeySet {
  readonly #keys: ReadonlyMap<string, VerificationKey>

  private constructor(keys: ReadonlyMap<string, VerificationKey>) {
    this.#keys = keys
  }

  /**
   * Reads a JWK Set (RFC 7517 5). Entries that cannot verify a hallpass token are passed over.
   *
   * @throws {Error} when the text is no JWK Set, or an entry of use is broken
   */
  static async read(text: string): Promise<KeySet> {
    const keys = new Map<string, VerificationKey>()
    for (const jwk of jwksOf(text)) {
      const usable = usableKey(jwk)
      if (usable) keys.set(usable.kid, await VerificationKey.of(wellFormed(usable), usable.algorithm))
    }
    return new KeySet(keys)
  }

  get size(): number {
    return this.#keys.size
  }

  find(kid: string): VerificationKey | undefined {
    return this.#keys.get(kid)
  }
}

function jwksOf(text: string): Map<string, Json>[] {
  const keys = membersOf(text, new Set(['keys'])).get('keys')
  if (!Array.isArray(keys)) throw new Error('not a JWK Set')
  return keys.map((key) => {
    if (!(key instanceof Map)) throw new Error('not a JWK')
    return key
  })
}

interface Usable {
  kid: string
  algorithm: Algorithm
  jwk: Members
}

/** A key that checks signatures of hallpass' kind; both ways to say what a key is for count (RFC 7517 4.2, 4.3). */
function usableKey(map: Map<string, Json>): Usable | undefined {
  // Here `null` is as good as silence.
  const common = new Members(new Map([...COMMON, 'key_ops', 'x5c'].flatMap((name) => {
    const value = map.get(name)
    return value === undefined || value === null ? [] : [[name, value] as const]
  })))
  const [kid, alg, use] = COMMON.map((name) => common.text(name))
  const operations = common.texts('key_ops')
  common.texts('x5c')
  const algorithm = algorithmOf(map, alg)
  if (kid === undefined || algorithm === undefined) return undefined
  const checks = (use === undefined || use === 'sig') && (operations?.includes('verify') ?? true)
  return checks ? { kid, algorithm, jwk: new Members(map) } : undefined
}

function algorithmOf(map: Map<string, Json>, alg: string | undefined): Algorithm | undefined {
  const has = (...names: string[]) => names.every((name) => typeof map.get(name) === 'string')
  const is = (kty: string, crv?: string) => map.get('kty') === kty && (crv === undefined || map.get('crv') === crv)
  if (alg === 'ES256' && is('EC', 'P-256') && has('x', 'y')) return alg
  if (alg === 'RS256' && is('RSA') && has('n', 'e')) return alg
  if (alg === 'EdDSA' && is('OKP', 'Ed25519') && has('x')) return alg
  return undefined
}

/** A broken key is to be noticed when it is loaded, and not by every signature being wrong. */
function wellFormed({ kid, algorithm, jwk }: Usable): JWK {
  const part = (name: string) => {
    const bytes = decode(jwk.text(name) ?? '')
    if (!bytes) throw new Error(`the key ${kid} cannot be read`)
    return bytes
  }
  const [key, right] = byAlgorithm(algorithm, part)
  if (!right) throw new Error(`the key ${kid} cannot be read`)
  return key
}

function byAlgorithm(algorithm: Algorithm, part: (name: string) => Uint8Array): [JWK, boolean] {
  switch (algorithm) {
    case 'ES256': {
      const [x, y] = [part('x'), part('y')]
      return [{ kty: 'EC', crv: 'P-256', x: encode(x), y: encode(y) }, x.length === P256_BYTES && y.length === P256_BYTES]
    }
    case 'EdDSA': {
      const x = part('x')
      const right = x.length === ED25519_KEY_BYTES && !hasSmallOrder(x)
      return [{ kty: 'OKP', crv: 'Ed25519', x: encode(x) }, right]
    }
    case 'RS256': {
      // Some write numbers with a zero in front, against RFC 7518 2.
      const [n, e] = [withoutLeadingZeros(part('n')), withoutLeadingZeros(part('e'))]
      const { least, most } = RSA_MODULUS_BYTES
      return [{ kty: 'RSA', n: encode(n), e: encode(e) }, n.length >= least && n.length <= most && isRsaExponent(e)]
    }
  }
}

function hasSmallOrder(point: Uint8Array): boolean {
  const unsigned = point.map((byte, index) => (index === ED25519_KEY_BYTES - 1 ? byte & 0x7f : byte))
  return ED25519_SMALL_ORDER.has(Array.from(unsigned, (byte) => byte.toString(16).padStart(2, '0')).join(''))
}

/** An odd number above one (RFC 8017 3.1): under the exponent one, every message signs itself. */
function isRsaExponent(e: Uint8Array): boolean {
  const last = e.at(-1)
  return last !== undefined && last % 2 === 1 && !(e.length === 1 && last === 1)
}

function withoutLeadingZeros(number: Uint8Array): Uint8Array {
  const first = number.findIndex((byte) => byte !== 0)
  return first < 0 ? number.subarray(number.length) : number.subarray(first)
}

function encode(bytes: Uint8Array): string {
  return base64url.encode(bytes)
}
