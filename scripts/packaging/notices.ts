import type { Component } from './components.ts'

const RULE = '-'.repeat(78)

/** The page of `culvert licenses`: our own licence, a list of what is inside, then each licence text once. */
export function noticesOf(
  own: string,
  node: { readonly version: string; readonly license: string },
  components: readonly Component[],
): string {
  const texts = new Map<string, Component[]>()
  for (const component of components) {
    const text = component.text.trim().replaceAll('\r\n', '\n')
    texts.set(text, [...(texts.get(text) ?? []), component])
  }
  const sections = [...texts].map(([text, users]) => section(users.map(titleOf).join('\n'), text))
  return [
    'culvert is free software. This is its licence, and those of what is inside of it.\nThe source of each part is at the address that stands with it.\n',
    own.trim(),
    '',
    ...sections,
    section(`Node.js ${node.version}, with what it brings along: https://github.com/nodejs/node`, node.license.trim()),
    '',
  ].join('\n')
}

function section(title: string, text: string): string {
  return `\n${RULE}\n${title}\n${RULE}\n\n${text}\n`
}

function titleOf({ name, version, license, source, within }: Component): string {
  const called = version === null ? name : `${name} ${version}`
  return `${called}${within === null ? '' : ` (in ${within})`}, ${license}: ${source}`
}
