import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const FOLDER = process.env.HALLPASS_VECTORS ?? join(import.meta.dirname, '../../../verify/vectors')
const PROBE = join(import.meta.dirname, 'probe.mjs')
const files = existsSync(FOLDER) ? readdirSync(FOLDER).filter((name) => name.endsWith('.jsonl')) : []

function answers(lines) {
  return new Promise((resolve, reject) => {
    const probe = spawn(process.execPath, [PROBE], { stdio: ['pipe', 'pipe', 'inherit'] })
    let out = ''
    probe.stdout.on('data', (piece) => (out += piece))
    probe.on('close', () => resolve(out.trimEnd().split('\n').map((line) => JSON.parse(line))))
    probe.on('error', reject)
    probe.stdin.end(lines.join('\n'))
  })
}

/** Whether an answer has every member that is expected of it. */
function equals(expected, answer) {
  if (typeof expected !== 'object' || expected === null) return Object.is(expected, answer)
  return Object.entries(expected).every(([name, value]) => name === 'claims' || equals(value, answer?.[name]))
}

test('each vector gets its verdict', { skip: files.length === 0 && `there are no vectors in ${FOLDER}` }, async () => {
  for (const file of files) {
    const lines = readFileSync(join(FOLDER, file), 'utf8').trimEnd().split('\n')
    const given = await answers(lines)
    assert.equal(given.length, lines.length)
    const wrong = lines.map((line) => JSON.parse(line)).filter(({ expect }, at) => !equals(expect, given[at]))
    assert.deepEqual(wrong.map(({ id, kind }) => id ?? kind), [], file)
  }
})
