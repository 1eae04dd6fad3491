import { Denylist } from './denylist.js'
import { type Json, JsonError, JsonReader, Members, required } from './json.js'
import { readRevocation } from './revocation.js'

/** All revocations that matter, and where in the feed to go on. */
export interface Snapshot {
  /** For `Last-Event-ID`. */
  cursor: string
  entries: Denylist
  /** The issuer's clock, seconds since 1970. */
  serverTime: bigint
  /** Up to when nothing is missing, by the same clock that the answer shows, milliseconds. */
  serverTimeMs: number
}

const NAMES = new Set(['cursor', 'server_time', 'server_time_ms'])
/** After so many entries others get their turn: a long list takes its time to read. */
const ENTRIES_AT_ONCE = 2000

/** Reads a list of revocations, one entry at a time: there may be very many. Rejects where it is none, or not understood. */
export async function readSnapshot(text: string): Promise<Snapshot> {
  const reader = new JsonReader(text)
  const map = new Map<string, Json>()
  let entries: Denylist | undefined
  for (const name of reader.names()) {
    if (map.has(name) || (name === 'entries' && entries)) throw new JsonError('a member is there twice')
    if (name === 'entries') entries = await readEntries(reader)
    else if (NAMES.has(name)) map.set(name, reader.value())
    else reader.skip()
  }
  reader.end()
  const members = new Members(map)
  return {
    cursor: required(members.text('cursor')),
    entries: required(entries),
    serverTime: required(members.i64('server_time')),
    serverTimeMs: Number(required(members.i64('server_time_ms'))),
  }
}

async function readEntries(reader: JsonReader): Promise<Denylist> {
  const entries = new Denylist()
  let count = 0
  for (const _ of reader.elements()) {
    entries.insert(readRevocation(reader))
    count += 1
    if (count % ENTRIES_AT_ONCE === 0) await new Promise((resolve) => setTimeout(resolve))
  }
  return entries
}
