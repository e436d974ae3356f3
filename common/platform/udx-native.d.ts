/** The part of `udx-native` that we use; it ships no types. */

declare module 'udx-native' {
  import type { EventEmitter } from 'node:events'

  export interface RawUdxSocket extends EventEmitter {
    readonly closing: boolean
    readonly _handle: Buffer
    /** Requests to send that were ever made, and those of them that wait for nothing. */
    readonly _reqs: readonly unknown[]
    readonly _free: readonly unknown[]
    bind(port: number, host: string): void
    address(): { readonly host: string; readonly port: number }
    trySend(bytes: Uint8Array, port: number, host: string): void
    /** Resolves when every stream on it has ended. */
    close(): Promise<void>
    /** Anything may stand for a stream: it only keeps the socket from closing under it. */
    _addStream(stream: object): boolean
    _removeStream(stream: object): boolean
  }

  // biome-ignore lint/style/noDefaultExport: it is the package that has one
  export default class UDX {
    readonly _handle: Buffer
    /** Takes so many bytes off the buffer that the next datagram is written to. */
    _consumeMessage(length: number): Buffer
    _reallocMessage(): Buffer
    readonly _buffer: Buffer
    createSocket(options: { readonly ipv6Only: boolean }): RawUdxSocket
  }
}

/**
 * The native functions beneath. A handle is memory for a native object, and has to live as long as that; callbacks are
 * called with `context` as `this`, until `closed` came and all writes were told.
 */
declare module 'udx-native/binding.js' {
  export const sizeof_udx_napi_stream_t: number
  export const offsetof_udx_stream_t_mtu: number
  export const offsetof_udx_stream_t_srtt: number
  export function udx_napi_stream_init(
    udx: Buffer,
    stream: Buffer,
    id: number,
    framed: 0 | 1,
    context: object,
    data: (length: number) => Buffer,
    end: (length: number) => void,
    drain: () => void,
    acknowledged: (write: number) => void,
    sent: () => void,
    message: (length: number) => Buffer,
    closed: (error?: Error) => void,
    firewall: () => 0 | 1,
    remoteChanged: () => void,
    newDataBuffer: () => Buffer,
    newMessageBuffer: () => Buffer,
  ): void
  export function udx_napi_stream_recv_start(stream: Buffer, buffer: Buffer): void
  export function udx_napi_stream_connect(
    stream: Buffer,
    socket: Buffer,
    remoteId: number,
    port: number,
    address: string,
    family: 4 | 6,
  ): void
  /** Memory for one write of so many buffers. */
  export function udx_napi_stream_write_sizeof(buffers: number): number
  /** 0 when the native buffer is full: `drain` follows. The bytes are used until the write is acknowledged. */
  export function udx_napi_stream_write(stream: Buffer, request: Buffer, write: number, bytes: Buffer): number
  export function udx_napi_stream_write_end(stream: Buffer, request: Buffer, write: number, bytes: Buffer): number
  export function udx_napi_stream_destroy(stream: Buffer): number
}
