import { base64url } from 'jose'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** The bytes of base64url without padding, in its one spelling (RFC 4648 3.5); undefined where it is none. */
export function decode(text: string): Uint8Array | undefined {
  const rest = text.length % 4
  if (rest === 1 || !/^[A-Za-z0-9_-]*$/.test(text)) return undefined
  const unused = rest === 0 ? 0 : rest === 2 ? 0x0f : 0x03
  if ((ALPHABET.indexOf(text.slice(-1)) & unused) !== 0) return undefined
  return base64url.decode(text)
}

/** The same as text; undefined also where the bytes are no UTF-8. */
export function decodeText(text: string): string | undefined {
  try {
    const bytes = decode(text)
    return bytes && new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}
