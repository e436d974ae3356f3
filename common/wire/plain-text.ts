/** Control characters, line separators, and the marks that reverse the order of what is shown (UAX #9). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+/g

/** The text in one line, fit to be shown: every run of characters that forge lines or drive a terminal is one space. */
export function plainText(text: string): string {
  return text.replace(UNPRINTABLE, ' ')
}

/** At most so many bytes of UTF-8. */
export function cutText(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text, 'utf8')
  // A character torn at the cut comes out as a replacement character, which takes up to two bytes more than its rest.
  return bytes.length <= maxBytes ? text : bytes.subarray(0, maxBytes - 2).toString('utf8')
}
