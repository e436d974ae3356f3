/** One element of a document, its name without prefix; `text` is its own text, trimmed. Attributes are not kept. */
export interface XmlElement {
  readonly name: string
  readonly text: string
  readonly children: readonly XmlElement[]
}

/** Ours: the largest description of a real router that we met has 20 KiB and 300 elements. */
export const MAX_XML_CHARS = 128 * 1024
const MAX_ELEMENTS = 4096
const MAX_DEPTH = 32

const TAG = /<(\/?)(?:[\w.-]+:)?([\w.-]+)((?:[^<>"']|"[^"<]*"|'[^'<]*')*)>/y
const MARKUP: ReadonlyArray<readonly [string, string]> = [
  ['<!--', '-->'],
  ['<?', '?>'],
]
const CDATA = '<![CDATA['
const PREDEFINED: ReadonlyMap<string, string> = new Map([
  ['&amp;', '&'],
  ['&lt;', '<'],
  ['&gt;', '>'],
  ['&quot;', '"'],
  ['&apos;', "'"],
])

interface OpenElement {
  readonly name: string
  text: string
  readonly children: XmlElement[]
}

/**
 * The root of a small document from a router, or undefined when it is too large, too deep, not well formed, or has a
 * document type: nobody needs entities of their own, and they are how XML is used to attack.
 */
export function readXml(source: string): XmlElement | undefined {
  if (source.length > MAX_XML_CHARS) return undefined
  const top: OpenElement = { name: '', text: '', children: [] }
  const open: OpenElement[] = [top]
  let count = 0
  for (let at = 0; at < source.length; ) {
    const current = open.at(-1)
    if (!current) return undefined
    const next = source.indexOf('<', at)
    if (next < 0) break
    current.text += unescapeText(source.slice(at, next))
    at = next
    if (source.startsWith(CDATA, at)) {
      const end = source.indexOf(']]>', at)
      if (end < 0) return undefined
      current.text += source.slice(at + CDATA.length, end)
      at = end + 3
      continue
    }
    const markup = MARKUP.find(([start]) => source.startsWith(start, at))
    if (markup) {
      const end = source.indexOf(markup[1], at)
      if (end < 0) return undefined
      at = end + markup[1].length
      continue
    }
    TAG.lastIndex = at
    const tag = TAG.exec(source)
    if (!tag) return undefined
    at = TAG.lastIndex
    const [, slash, name = '', rest = ''] = tag
    if (slash === '/') {
      if (open.length === 1 || current.name !== name) return undefined
      open.pop()
      open.at(-1)?.children.push(closed(current))
      continue
    }
    if (++count > MAX_ELEMENTS) return undefined
    if (rest.endsWith('/')) current.children.push({ name, text: '', children: [] })
    else if (open.push({ name, text: '', children: [] }) > MAX_DEPTH + 1) return undefined
  }
  return open.length === 1 && top.children.length === 1 ? top.children[0] : undefined
}

function closed({ name, text, children }: OpenElement): XmlElement {
  return { name, text: text.trim(), children }
}

/** The five entities that XML itself knows, each once: what comes out is not looked at again. */
function unescapeText(text: string): string {
  return text.replace(/&(?:amp|lt|gt|quot|apos);/g, entity => PREDEFINED.get(entity) ?? entity)
}

export function escapeXml(text: string): string {
  const escapes = new Map([...PREDEFINED].map(([entity, plain]) => [plain, entity]))
  return text.replace(/[&<>"']/g, plain => escapes.get(plain) ?? plain)
}

/** Every element of this name, at any depth, in the order of the document. */
export function elementsNamed(root: XmlElement, name: string): readonly XmlElement[] {
  const own = root.name === name ? [root] : []
  return [...own, ...root.children.flatMap(child => elementsNamed(child, name))]
}

/** The text of the first child of this name. */
export function childText(element: XmlElement, name: string): string | undefined {
  return element.children.find(child => child.name === name)?.text
}
