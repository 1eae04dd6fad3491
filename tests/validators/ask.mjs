// Asks the snippet of docs/validate.md about tokens, one a line; answers a line for each.
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const { callerOf, Refused } = await import(pathToFileURL(process.argv[2]))

for await (const token of createInterface({ input: process.stdin })) {
  try {
    console.log(`ok ${(await callerOf(token)).sub}`)
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    console.log(error.status)
  }
}
