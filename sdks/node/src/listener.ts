import type { Clock } from './clock.js'
import { IssuerError } from './errors.js'
import type { Feed } from './feed.js'
import { type Answer, ok, refusal, unreadable } from './http.js'
import { IssuerClock, wholeNumber } from './issuerClock.js'
import { JsonReader, Members, membersOf, required } from './json.js'
import type { KeyKeeper } from './keyKeeper.js'
import { readRevocation } from './revocation.js'
import { readSnapshot } from './snapshot.js'
import { type SseEvent, SseParser } from './sse.js'

const PRUNE_EVERY_MS = 30 * 1000
/** Up to when nothing is missing, in an answer that has no body to say it. */
const COMPLETE_UNTIL = 'hallpass-complete-until'
const HEARTBEAT = new Set(['server_time', 'server_time_ms'])

/** Why the feed is not followed for a moment. */
export class Interruption extends Error {
  override name = 'Interruption'
  readonly kind: 'reset' | 'not understood' | 'moved' | 'closed' | 'late'

  constructor(kind: Interruption['kind'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.kind = kind
  }

  /** Streams are ended now and then by the issuer, or by a proxy; that alone is nothing to mend. */
  get isUsual(): boolean {
    return this.kind === 'moved' || this.kind === 'closed'
  }
}

/** How the feed is followed; times in seconds. */
export interface Pace {
  /** How much longer than their `exp` tokens are accepted, and entries kept. */
  leeway: bigint
  /** How long a stream may say nothing. */
  silence: number
  /** How old the knowledge may be that anybody uses. */
  maxStaleness: number
}

/** A stream that is being read. */
export interface Stream {
  clock: IssuerClock
  parser: SseParser
  wasTold: boolean
}

/** Takes in what the feed says. */
export class Listener {
  /** Behind the last entry that was taken in; undefined when a list is needed. */
  cursor: string | undefined
  /** The issuer's clock when it was last heard, seconds since 1970. */
  #serverTime = 0n
  #prunedAt = -Infinity
  readonly #feed: Feed
  readonly #keys: Pick<KeyKeeper, 'want'>
  readonly #clock: Clock
  readonly #pace: Pace
  readonly #hasStream: boolean
  /** Of the last list, where nothing but lists is taken in. */
  #etag: string | null = null

  constructor(feed: Feed, keys: Pick<KeyKeeper, 'want'>, clock: Clock, pace: Pace, hasStream: boolean) {
    this.#feed = feed
    this.#keys = keys
    this.#clock = clock
    this.#pace = pace
    this.#hasStream = hasStream
  }

  /** What to ask the list with, where nothing but lists is taken in. */
  get condition(): Record<string, string> {
    return this.#etag === null ? {} : { 'if-none-match': this.#etag }
  }

  /** Takes in the answer to the question for the list, which was sent at `askedAt`. */
  async list(askedAt: number, answer: Answer): Promise<void> {
    const isKnown = answer.status === 304 && !this.#hasStream && this.cursor !== undefined
    if (!isKnown) ok(answer)
    const clock = IssuerClock.ofAnswer(askedAt, this.#feed.now(), answer.headers)
    const until = wholeNumber(answer.headers.get(COMPLETE_UNTIL))
    if (!clock || (isKnown && until === undefined)) throw noClock()
    if (isKnown) return this.#complete(clock, until ?? 0)
    await this.#replace(answer.body, clock)
    this.#etag = this.#hasStream ? null : answer.headers.get('etag')
  }

  /** Puts a list in the place of the one that is known. */
  async #replace(body: string, clock: IssuerClock): Promise<void> {
    const snapshot = await readSnapshot(body).catch((error: unknown) => {
      throw unreadable(error)
    })
    if (!isHeaderValue(snapshot.cursor)) throw unreadable('a cursor that is none')
    this.#feed.replace(snapshot.entries)
    this.#complete(clock, snapshot.serverTimeMs)
    this.cursor = snapshot.cursor
    this.#serverTime = snapshot.serverTime
  }

  /** An answer that names a moment after itself says nothing of how old it is. */
  #complete(clock: IssuerClock, stated: number): void {
    const moment = clock.momentInAnswer(stated)
    if (moment !== undefined) this.#feed.completed(moment)
  }

  /** The head of a stream, which was asked for at `askedAt`. */
  opened(askedAt: number, status: number, headers: Headers): Stream {
    if (status !== 200) throw refusal(status, headers)
    const clock = IssuerClock.ofAnswer(askedAt, this.#feed.now(), headers)
    if (!clock) throw noClock()
    return { clock, parser: new SseParser(), wasTold: false }
  }

  /** Takes in bytes of a stream; answers whether an event ended in them, and whether one made the knowledge fresh. */
  read(stream: Stream, bytes: Uint8Array): { heard: boolean; isFresh: boolean } {
    const events: SseEvent[] = []
    const fault = faultOf(() => stream.parser.read(bytes, events))
    let isFresh = false
    // What stood before a fault counts.
    for (const event of events) {
      if (event.name === 'heartbeat') stream.wasTold = true
      // One that only sends others away is no better than one that ends.
      if (event.name === 'reconnect') {
        throw new Interruption(stream.wasTold ? 'moved' : 'closed', 'the feed goes on elsewhere')
      }
      isFresh = this.#event(event, stream.clock) || isFresh
    }
    if (fault !== undefined) throw notUnderstood(fault)
    this.#prune()
    return { heard: events.length > 0, isFresh }
  }

  /** Whether the stream is to be opened anew, since clocks drift. */
  isOver(stream: Stream): boolean {
    return stream.clock.isOver(this.#feed.now())
  }

  /** Goes on behind the last event, unless that is of no use. */
  interrupted(error: unknown): void {
    if (callsForAList(error)) this.cursor = undefined
  }

  /** Takes in an event of a stream; answers whether it made the knowledge fresh. */
  #event(event: SseEvent, clock: IssuerClock): boolean {
    const isFresh = event.name === 'heartbeat' && this.#heartbeat(event.data, clock)
    if (event.name === 'revocation') this.#revocation(event.data)
    if (event.name === 'reset') {
      throw new Interruption('reset', 'the issuer wants the list to be fetched again')
    }
    if (event.id !== undefined) {
      if (!isHeaderValue(event.id)) throw notUnderstood('a cursor that is none')
      this.cursor = event.id
    }
    return isFresh
  }

  #revocation(data: string): void {
    const revocation = understood(() => {
      const reader = new JsonReader(data)
      const entry = readRevocation(reader)
      reader.end()
      return entry
    })
    this.#feed.denylist.insert(revocation)
    if (revocation.kind === 'key') this.#keys.want()
  }

  /** Only a heartbeat says that nothing is missing: what comes first may be the oldest of many that were missed. */
  #heartbeat(data: string, clock: IssuerClock): boolean {
    const [seconds, millis] = understood(() => {
      const members = new Members(membersOf(data, HEARTBEAT))
      return [required(members.i64('server_time')), required(members.i64('server_time_ms'))] as const
    })
    const heardAt = this.#feed.now()
    const moment = clock.momentOf(Number(millis), heardAt)
    this.#serverTime = seconds
    this.#feed.completed(moment)
    const isFresh = this.#feed.age() <= this.#pace.maxStaleness * 1000
    if (!isFresh && clock.mayBeWrong(heardAt)) throw new Interruption('late', 'the feed is late')
    return isFresh
  }

  /** Forgets what is over by this machine's clock and by the issuer's: one that jumps must not bring a token to life. */
  #prune(): void {
    const now = this.#feed.now()
    if (now - this.#prunedAt < PRUNE_EVERY_MS) return
    this.#prunedAt = now
    const own = BigInt(Math.floor(this.#clock.now() / 1000))
    this.#feed.denylist.prune((own < this.#serverTime ? own : this.#serverTime) - this.#pace.leeway)
  }
}

/** Whether to go on from the cursor is of no use. */
function callsForAList(error: unknown): boolean {
  if (error instanceof Interruption) return error.kind === 'reset' || error.kind === 'not understood'
  return error instanceof IssuerError && [400, 404, 409, 410, 416].includes(error.status ?? 0)
}

function understood<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw notUnderstood(error)
  }
}

function faultOf(act: () => void): unknown {
  try {
    act()
    return undefined
  } catch (error) {
    return error
  }
}

const notUnderstood = (cause: unknown) =>
  new Interruption('not understood', 'the feed says something that is not understood', cause)
const noClock = () => unreadable("it does not say what the issuer's clock shows")

function isHeaderValue(text: string): boolean {
  return /^[\t\x20-\x7e]*$/.test(text)
}

