import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { agentConfigSchema, SCHEMA_FILE } from '../agent/config/json-schema.ts'

// Writes the published JSON Schema from the one place where options are defined. A test holds the file current.
const file = join(import.meta.dirname, '..', SCHEMA_FILE)
mkdirSync(dirname(file), { recursive: true })
writeFileSync(file, `${JSON.stringify(agentConfigSchema(), null, 2)}\n`)
