import type * as z from 'zod/mini'
import { type ConfigFault, formatPlace, showValue } from './config-fault.ts'
import { configSchema } from './config-schema.ts'
import type { JsonPath } from './json-text.ts'
import { nearest } from './nearest.ts'

/** A fault that names an unknown key, its place, and the known key that is nearest or the place where the key belongs. */
export function unknownKeyFault(path: JsonPath, key: string): ConfigFault {
  const known = keysAt(path)
  const place = formatPlace([...path, key])
  return { place, value: showValue(key), problem: 'is no known key', remedy: remedyFor(key, known) }
}

function remedyFor(key: string, known: readonly string[]): string {
  const near = nearest(key, known)
  if (near !== undefined) return `did you mean "${near}"?`
  const elsewhere = everyPlace().find(place => place.endsWith(`.${key}`))
  if (elsewhere !== undefined) return `it belongs at ${elsewhere}`
  return `remove it; the keys known here are ${known.join(', ')}`
}

function keysAt(path: JsonPath): readonly string[] {
  let schema: z.core.$ZodType | undefined = configSchema
  for (const step of path) schema = schema && inside(schema, String(step))
  const shape = schema && shapeOf(schema)
  return shape ? Object.keys(shape).filter(key => key !== '$schema') : []
}

function inside(schema: z.core.$ZodType, step: string): z.core.$ZodType | undefined {
  const def = definitionOf(schema)
  if (def.type === 'record') return def.valueType
  if (def.type === 'array') return def.element
  const shape = shapeOf(schema)
  return shape && Object.hasOwn(shape, step) ? shape[step] : undefined
}

function shapeOf(schema: z.core.$ZodType): Readonly<Record<string, z.core.$ZodType>> | undefined {
  const def = definitionOf(schema)
  return def.type === 'object' ? def.shape : undefined
}

/** What a schema is once its default and its being optional are taken off. */
function definitionOf(schema: z.core.$ZodType): z.core.$ZodTypes['_zod']['def'] {
  // zod's own types name every kind of schema in this union, but give a bare $ZodType only its common part.
  const { def } = (schema as z.core.$ZodTypes)._zod
  const wrapped = def.type === 'default' || def.type === 'prefault' || def.type === 'optional'
  return wrapped ? definitionOf(def.innerType) : def
}

/** Every key below the top, as `relay.graceMs`; names are written `NAME` and list items `[]`. */
function everyPlace(schema: z.core.$ZodType = configSchema, before = ''): readonly string[] {
  const def = definitionOf(schema)
  if (def.type === 'record') return everyPlace(def.valueType, `${before}.NAME`)
  if (def.type === 'array') return everyPlace(def.element, `${before}[]`)
  const shape = shapeOf(schema)
  if (!shape) return []
  return Object.entries(shape).flatMap(([key, inner]) => {
    const place = before === '' ? key : `${before}.${key}`
    return [place, ...everyPlace(inner, place)]
  })
}
