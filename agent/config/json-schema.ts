import { toJSONSchema } from 'zod/mini'
import { configSchema } from './config-schema.ts'

/** Where the schema is published; a config's `$schema` names it. */
export const SCHEMA_FILE = 'schema/agent.schema.json'

/** The config as JSON Schema (draft 2020-12), for editors and other programs. */
export function agentConfigSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...schema } = toJSONSchema(configSchema, { io: 'input', target: 'draft-2020-12' })
  return { $schema, title: 'culvert agent configuration', ...schema }
}
