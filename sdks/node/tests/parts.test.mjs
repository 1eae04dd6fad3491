import assert from 'node:assert/strict'
import { test } from 'node:test'

const inside = (name) => import(new URL(name, import.meta.resolve('hallpass-verify')))
const { Backoff } = await inside('backoff.js')
const { decode } = await inside('base64url.js')
const { MachineClock } = await inside('clock.js')
const { Denylist } = await inside('denylist.js')
const { IssuerClock } = await inside('issuerClock.js')
const { JsonReader, membersOf } = await inside('json.js')
const { maxAge } = await inside('keyKeeper.js')
const { partitionOf, readRevocation } = await inside('revocation.js')
const { readSnapshot } = await inside('snapshot.js')
const { SseParser } = await inside('sse.js')
const { TokenCache } = await inside('tokenCache.js')

const ID = '00000000-0000-4000-8000-000000000001'
const value = (text) => {
  const reader = new JsonReader(text)
  const read = reader.value()
  reader.end()
  return read
}
const skipped = (text) => {
  const reader = new JsonReader(text)
  reader.skip()
  reader.end()
}

test('whole numbers are read as they are written, and others as what they are', () => {
  assert.equal(value('18446744073709551615'), 18446744073709551615n)
  assert.equal(value('-9223372036854775808'), -(2n ** 63n))
  for (const text of ['3.0', '3e0', '-0', '1.5']) assert.equal(typeof value(text), 'number', text)
})

test('what is no JSON is an error, whether it is read or passed over', () => {
  for (const text of ['', '{', '[', '[1,]', '{"a"}', '{"a":}', '{"a":1,}', '01', '+1', '.5', '1.', 'tru', '"a', '"\n"', '"\\x"', '"\\u12"', "'a'", '1 2', '{}{}', '[1 2]', '\ufeff{}', 'NaN']) {
    assert.throws(() => value(text), undefined, text)
    assert.throws(() => skipped(text), undefined, text)
  }
})

test('what is JSON is read and passed over', () => {
  for (const text of ['{}', '[]', ' [ 1 , {"a" : [ ] , "b":{}} , "\\u00e9\\n" ] ', '{"a":[[],[{}]],"b":null}', 'true', '-1.5e-3', '"\\ud83d\\ude00"']) {
    value(text)
    skipped(text)
  }
  skipped(`${'[{"a":'.repeat(3000)}1${'}]'.repeat(3000)}`)
})

test('a member that is there twice is an error, and half a character is none', () => {
  assert.throws(() => value('{"a":1,"a":1}'))
  assert.throws(() => value('"\\ud800"'))
  assert.throws(() => membersOf('{"a":1,"\\u0061":2}', new Set(['a'])))
  assert.equal(membersOf('{"b":1,"b":2,"a":3}', new Set(['a'])).get('a'), 3n)
})

test('bytes have one spelling', () => {
  assert.deepEqual([...decode('_-8')], [0xff, 0xef])
  for (const text of ['_-9', '_-8=', '_-+', 'A', '_-8 ', 'AA\n']) assert.equal(decode(text), undefined, text)
})

test('an entry that is not understood is an error', () => {
  const read = (entry) => readRevocation(new JsonReader(JSON.stringify(entry)))
  for (const entry of [{ jti: ID, exp: 9 }, { sid: ID, exp: 9, reason: 'logout' }, { sub: '42', sv: 5, exp: 9 }, { kid: 'k', exp: 9 }, { all: true, inc: 5, exp: 9 }, { all: true, inc: 0, partition: 64, exp: 9 }]) read(entry)
  for (const entry of [{}, { exp: 9 }, { jti: ID }, { jti: ID, exp: '9' }, { jti: '1', exp: 9 }, { jti: ID, sid: ID, exp: 9 }, { jti: ID, sv: 5, exp: 9 }, { sub: 42, sv: 5, exp: 9 }, { sub: '42', exp: 9 }, { sub: '42', sv: 5.5, exp: 9 }, { all: false, inc: 5, exp: 9 }, { all: true, exp: 9 }, { all: true, inc: -1, exp: 9 }, { all: true, inc: 5, partition: 65, exp: 9 }, { colour: 'red', exp: 9 }, 'jti', []]) {
    assert.throws(() => read(entry), undefined, JSON.stringify(entry))
  }
})

test('a person belongs to the remainder of the number and all else to the last part', () => {
  for (const [sub, part] of [['0', 0], ['42', 42], ['64', 0], ['18446744073709551615', 63], ['18446744073709551616', 64], ['orders', 64], ['042', 64], ['+42', 64], ['', 64]]) {
    assert.equal(partitionOf(sub), part, sub)
  }
})

test('an entry is kept to its end and forgotten at it', () => {
  const claims = { jti: '1', sid: '2', sub: '42', sv: 3n, inc: 7n, clientId: 'orders', actors: ['gateway'] }
  for (const entry of [{ kind: 'token', id: '1' }, { kind: 'session', id: '2' }, { kind: 'key', id: 'k' }, { kind: 'user', sub: '42', sv: 4n }, { kind: 'user', sub: 'orders', sv: 1n }, { kind: 'user', sub: 'gateway', sv: 1n }, { kind: 'all', inc: 8n, partition: undefined }, { kind: 'all', inc: 8n, partition: 42 }]) {
    const list = new Denylist()
    list.insert({ ...entry, exp: 5n })
    list.insert({ ...entry, exp: 9n })
    list.insert({ ...entry, exp: 5n })
    list.prune(8n)
    assert(list.isRevoked(claims, 'k'), entry.kind)
    list.prune(9n)
    assert.equal(list.size, 0)
  }
  const list = new Denylist()
  for (const sv of [1n, 9n, 2n]) list.insert({ kind: 'user', sub: '42', sv, exp: 9n })
  assert(list.isRevoked({ ...claims, sv: 8n }, 'k'), 'of two cut-offs the greater one holds')
  assert(list.isRevoked({ ...claims, sid: undefined, sv: undefined }, 'k'), 'who has no version is below all')
})

test('a list is read whole or not at all', async () => {
  const right = `{"cursor":"c","server_time":7,"server_time_ms":6900,"entries":[{"jti":"${ID}","exp":9},{"kid":"k","exp":9}]}`
  const list = await readSnapshot(right)
  assert.deepEqual([list.cursor, list.entries.size, list.serverTime, list.serverTimeMs], ['c', 2, 7n, 6900])
  for (const [from, to] of [['"kid"', '"colour"'], ['"cursor"', '"at"'], ['"entries"', '"all"'], ['"exp":9}]', '"exp":"9"}]'], ['"server_time_ms"', '"ms"'], ['"c"', '"c","cursor":"d"']]) {
    await assert.rejects(readSnapshot(right.replace(from, to)), undefined, to)
  }
})

test('a long list leaves others their turns', async () => {
  const entries = Array.from({ length: 50_000 }, (_, n) => `{"sid":"${ID.slice(0, -5)}${String(n).padStart(5, '0')}","exp":9}`)
  let turns = 0
  const timer = setInterval(() => (turns += 1), 0)
  const list = await readSnapshot(`{"cursor":"c","server_time":7,"server_time_ms":7,"entries":[${entries.join(',')}]}`)
  clearInterval(timer)
  assert.equal(list.entries.size, 50_000)
  assert(turns > 5, `${turns} turns`)
})

const STREAM = ':ok\n\nevent: revocation\nid: c1\ndata: {"a":\ndata: "\u00e9"}\n\nevent:heartbeat\nid:c2\ndata:{}\n\n'
const EVENTS = [{ name: 'revocation', id: 'c1', data: '{"a":\n"\u00e9"}' }, { name: 'heartbeat', id: 'c2', data: '{}' }]

test('a stream reads the same wherever it is cut and however its lines end', () => {
  for (const end of ['\n', '\r', '\r\n']) {
    const bytes = new TextEncoder().encode(STREAM.replaceAll('\n', end))
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const parser = new SseParser()
      assert.deepEqual([...parser.read(bytes.subarray(0, cut)), ...parser.read(bytes.subarray(cut))], EVENTS, `${cut}`)
    }
  }
})

test('an event without an end is an error before it fills the memory; comments may go on', () => {
  const parser = new SseParser()
  const bytes = new TextEncoder().encode('x'.repeat(64 * 1024))
  parser.read(bytes)
  assert.throws(() => parser.read(bytes.subarray(0, 1)))
  const patient = new SseParser()
  for (let times = 0; times < 10_000; times += 1) patient.read(new TextEncoder().encode(': still here\n'))
  assert.throws(() => new SseParser().read(Uint8Array.from([0x64, 0xff, 0x0a])))
})

const AHEAD = 2_000_000_000_000
const measured = () => IssuerClock.ofAnswer(1000, 4000, new Headers({ 'hallpass-clock': String(AHEAD + 1000) }))

test('a statement is as old as it is late, and a clock that was set makes none younger', () => {
  assert.equal(measured().momentOf(AHEAD + 20_000, 35_000), 19_999)
  assert.equal(measured().momentInAnswer(AHEAD + 1000), 999)
  assert.equal(measured().momentInAnswer(AHEAD + 1001), undefined)
  assert.throws(() => measured().momentOf(AHEAD + 20_000, 19_700))
  const clock = measured()
  clock.momentOf(AHEAD + 20_000, 35_000)
  assert.throws(() => clock.momentOf(AHEAD + 36_000, 37_000))
  assert.equal(measured().momentOf(AHEAD + 23_000, 22_900), 22_900, 'clocks drift')
  assert.deepEqual([measured().isOver(300_999), measured().isOver(301_000)], [false, true])
  assert.deepEqual([measured().mayBeWrong(13_999), measured().mayBeWrong(14_000)], [false, true])
  for (const text of ['', 'soon', '1.5', '1e3']) assert.equal(IssuerClock.ofAnswer(0, 0, new Headers({ 'hallpass-clock': text })), undefined)
})

test('the age that the issuer allows its keys is read within bounds', () => {
  for (const [written, seconds] of [['max-age=60', 60], ['public, max-age=60, must-revalidate', 60], ['Max-Age="60"', 60], ['s-maxage=5, max-age=60', 60], ['max-age=0', 1], ['max-age=99999999', 86_400], ['max-age=-1', 300], ['no-store', 300], [null, 300]]) {
    assert.equal(maxAge(written), seconds, String(written))
  }
})

test('pauses double to a bound, and a wish of the issuer is honoured within reason', () => {
  const backoff = new Backoff()
  for (const full of [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]) {
    const pause = backoff.next()
    assert(pause >= full / 2 && pause <= full, `${pause} of ${full}`)
  }
  assert.equal(backoff.next(7), 7)
  assert.equal(backoff.next(86_400), 30)
  backoff.reset()
  assert(backoff.next() <= 0.1)
})

test('the cache holds no more than about its capacity, and what is used stays', () => {
  const cache = new TokenCache(100)
  cache.insert('used', 1)
  for (let number = 0; number < 1000; number += 1) {
    cache.insert(`t${number}`, number)
    assert.equal(cache.find('used'), 1)
  }
  assert(cache.size <= 101)
  const none = new TokenCache(0)
  none.insert('one', 1)
  assert.equal(none.size, 0)
})

test('the clock that ages are counted by goes on while the machine sleeps, and is not set', (t) => {
  let [awake, slept, day] = [1000, 0, 5_000_000]
  t.mock.method(performance, 'now', () => awake)
  t.mock.method(Date, 'now', () => day)
  t.mock.method(process.getBuiltinModule('node:os'), 'uptime', () => (awake + slept) / 1000)
  const clock = new MachineClock()
  const begun = clock.monotonic()
  awake += 700
  day += 700
  assert.equal(clock.monotonic() - begun, 700)
  slept += 60_000
  day += 60_000
  assert.equal(Math.round(clock.monotonic() - begun), 60_700, 'a sleep counts')
  day += 3_600_000
  assert.equal(Math.round(clock.monotonic() - begun), 60_700, 'the time of day does not')
  day -= 7_200_000
  awake += 100
  assert.equal(Math.round(clock.monotonic() - begun), 60_800)
})
