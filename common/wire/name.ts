/** Letters, digits, `-`, `_` and `.`, at most 63, the first a letter or digit: fits a DNS label's length and a URL's path. */
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/

/** True for a name of a peer, a role or a service. What looks like a peer id is none, so that `NAME-or-ID` is never ambiguous. */
export function isName(text: string): boolean {
  return NAME_PATTERN.test(text) && !/^[a-z2-7]{52}$/.test(text)
}
