import type * as z from 'zod/mini'
import type { configSchema } from './config-schema.ts'

type Written = z.output<typeof configSchema>

type DeepReadonly<T> = T extends string | number | boolean | undefined
  ? T
  : { readonly [Key in keyof T]: DeepReadonly<T[Key]> }

/**
 * A valid configuration with every default filled in and every path absolute. Peers and services are keyed by name: look
 * them up with `Object.hasOwn` or `Object.entries`, since a name may be `constructor`.
 */
export type AgentConfig = DeepReadonly<
  Omit<Written, '$schema' | 'name' | 'controlSocket'> & { name: string; controlSocket: string }
>

export type PeerOption = AgentConfig['peers'][string]
export type ForwardOption = AgentConfig['forwards'][number]
