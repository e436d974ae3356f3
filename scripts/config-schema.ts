import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { agentConfigSchema, SCHEMA_FILE } from '../agent/config/json-schema.ts'
import { RELAY_SCHEMA_FILE, relayConfigSchema } from '../relay/options-schema.ts'

// Writes the published JSON Schemas from the places where options are defined. Tests hold the files current.
publish(SCHEMA_FILE, agentConfigSchema())
publish(RELAY_SCHEMA_FILE, relayConfigSchema())

function publish(name: string, schema: unknown): void {
  const file = join(import.meta.dirname, '..', name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(schema, null, 2)}\n`)
}
