import { addressScope } from '../../common/wire/endpoint.ts'
import type { ExternalAnswer, MapOutcome, PortMapping } from './port-mapper.ts'

/** What is known of the gateway and of our two entries in its table. */
export interface PortMappingState {
  readonly gateway: GatewayState
  /** The gateway that the entries are in; it stays the last one while a search runs. */
  readonly last: { readonly address: string; readonly external: ExternalAnswer } | undefined
  /** The gateway that was found last, though it may be gone. */
  readonly known: string | undefined
  readonly tcp: EntryState
  readonly udp: EntryState
}

export type GatewayState =
  | { readonly name: 'searching'; readonly failures: number }
  | { readonly name: 'absent'; readonly failures: number; readonly searchAt: number }
  | {
      readonly name: 'present'
      readonly address: string
      readonly external: ExternalAnswer
      /** Until then what is heard of restarts is not believed: anybody on the LAN can say it. */
      readonly deafUntil: number
      readonly checkPeriodMs: number
      /** When to look next; undefined while a look is under way. */
      readonly checkAt: number | undefined
      readonly missed: number
      /** What it last told everybody about itself; changes with each start. */
      readonly life: string | undefined
    }

export type EntryState =
  | {
      readonly name: 'waiting'
      readonly askAt: number
      readonly failures: number
      /** The external port that others may know us by. */
      readonly wasPort: number | undefined
      readonly problem: string | undefined
      /** The last question got no answer at all: the router that was asked may still be busy with it. */
      readonly unanswered: boolean
    }
  /** No router is asked for this port. */
  | { readonly name: 'left' }
  | { readonly name: 'asking'; readonly failures: number; readonly held: PortMapping | undefined }
  | { readonly name: 'kept'; readonly mapping: PortMapping; readonly renewAt: number; readonly endsAt: number }

export type PortMappingEvent =
  | { readonly name: 'tick' }
  /** Something changed here: addresses, routes, or we slept. */
  | { readonly name: 'network' }
  | {
      readonly name: 'found'
      readonly address: string
      readonly external: ExternalAnswer
      readonly checkCost: 'datagram' | 'connection'
    }
  | { readonly name: 'not-found' }
  | { readonly name: 'answered'; readonly protocol: MappedProtocol; readonly outcome: MapOutcome }
  | { readonly name: 'checked'; readonly result: 'kept' | 'lost' | 'no-answer' }
  | {
      readonly name: 'news'
      readonly kind: 'alive' | 'byebye' | 'announced'
      readonly address: string
      readonly life: string | undefined
    }

export type MappedProtocol = 'tcp' | 'udp'

export type PortMappingAction =
  | { readonly name: 'search' }
  | { readonly name: 'check' }
  | { readonly name: 'ask'; readonly protocol: MappedProtocol; readonly wasPort: number | undefined }

export interface PortMappingStep {
  readonly state: PortMappingState
  readonly actions: readonly PortMappingAction[]
}

/** The mappings that the router has for us, as far as we know. */
export function heldMapping(entry: EntryState): PortMapping | undefined {
  if (entry.name === 'kept') return entry.mapping
  return entry.name === 'asking' ? entry.held : undefined
}

/** A private or a carrier's address is one more NAT's inside: a mapping there leads only who is inside, too. */
export function isUsable(external: ExternalAnswer): external is { kind: 'address'; address: string } {
  return external.kind === 'address' && addressScope(external.address) === 'public'
}

/** Between two NATs others may be as well: homes of one carrier, or who is on the outer of two routers. */
export function isBetweenNats(external: ExternalAnswer): external is { kind: 'address'; address: string } {
  if (external.kind !== 'address') return false
  const scope = addressScope(external.address)
  return scope === 'carrier' || scope === 'private'
}
