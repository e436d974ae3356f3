/** Breaks a text at spaces into lines of at most `width`, unless a word is longer; `indent` stands before all but the first. */
export function wrap(text: string, width: number, indent: string): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].map((part, i) => (i === 0 ? part : `${indent}${part}`)).join('\n')
}

/** As a sentence begins and ends; words of a protocol or a name keep their case. */
export function sentence(text: string): string {
  const [first = ''] = text
  const isWord = /^[a-z]+[ ,:']/.test(text)
  return `${isWord ? first.toUpperCase() : first}${text.slice(first.length)}${/[.!?]$/.test(text) ? '' : '.'}`
}
