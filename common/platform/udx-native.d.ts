/** The part of `udx-native` that we use; it ships no types. */

declare module 'udx-native/lib/socket.js' {
  import type { EventEmitter } from 'node:events'

  /** What the library's sockets and streams share. */
  export interface UdxShared {
    readonly _handle: Buffer
    /** Where the next datagram is written to. */
    readonly _buffer: Buffer
    /** Takes so many bytes off it. */
    _consumeMessage(length: number): Buffer
    _reallocMessage(): Buffer
  }

  // biome-ignore lint/style/noDefaultExport: it is the package that has one
  export default class UdxSocket extends EventEmitter {
    constructor(shared: UdxShared, options: { readonly ipv6Only: boolean })
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
}

/**
 * The native functions beneath. A handle is memory for a native object, and has to live as long as that; callbacks are
 * called with `context` as `this`, until `closed` came and all writes were told.
 */
declare module 'udx-native/binding.js' {
  export const sizeof_udx_napi_t: number
  export const sizeof_udx_napi_stream_t: number
  export const offsetof_udx_stream_t_mtu: number
  export const offsetof_udx_stream_t_srtt: number
  export const offsetof_udx_stream_t_bytes_tx: number
  export const offsetof_udx_stream_t_inflight: number
  export const offsetof_udx_stream_t_retransmit_count: number
  export function udx_napi_init(udx: Buffer, buffer: Buffer): void
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
