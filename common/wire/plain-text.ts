/** Control characters, line separators, and the marks that reverse the order of what is shown (UAX #9). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+/g

/** The text in one line, fit to be shown: every run of characters that forge lines or drive a terminal is one space. */
export function plainText(text: string): string {
  return text.replace(UNPRINTABLE, ' ')
}
