import type UdxSocket from 'udx-native/lib/socket.js'
import type { UdxShared } from 'udx-native/lib/socket.js'
import { CulvertError, reasonOf } from '../errors.ts'

export type RawUdxSocket = UdxSocket
export type { UdxShared }
export type UdxBinding = typeof import('udx-native/binding.js')

export interface UdxLibrary {
  readonly binding: UdxBinding
  readonly shared: UdxShared
  readonly Socket: typeof UdxSocket
}

/** The largest datagram that the native side hands on. */
const MAX_MESSAGE = 4_096
const MESSAGES_BYTES = 64 * 1024 + MAX_MESSAGE

let library: UdxLibrary | undefined

/** Loads the native library once: all sockets share what it keeps. The error `io` where there is no build of it. */
export async function loadUdxLibrary(): Promise<UdxLibrary> {
  try {
    const [socket, native] = await Promise.all([import('udx-native/lib/socket.js'), import('udx-native/binding.js')])
    const binding = 'default' in native ? (native.default as UdxBinding) : native
    library ??= { binding, Socket: socket.default, shared: new Shared(binding) }
    return library
  } catch (cause) {
    const machine = `${process.platform}-${process.arch}`
    throw new CulvertError('io', `no udx-native for ${machine}: ${reasonOf(cause)}`, { cause })
  }
}

/** As the library's own class, which brings its streams with it: with what they are made of, 50 KB that nothing uses. */
class Shared implements UdxShared {
  readonly _handle: Buffer
  _buffer = Buffer.allocUnsafeSlow(MESSAGES_BYTES)

  constructor(binding: UdxBinding) {
    this._handle = Buffer.alloc(binding.sizeof_udx_napi_t)
    binding.udx_napi_init(this._handle, this._buffer)
  }

  _consumeMessage(length: number): Buffer {
    const message = this._buffer.subarray(0, length)
    this._buffer = this._buffer.subarray(length)
    if (this._buffer.byteLength < MAX_MESSAGE) this._reallocMessage()
    return message
  }

  _reallocMessage(): Buffer {
    this._buffer = Buffer.allocUnsafeSlow(MESSAGES_BYTES)
    return this._buffer
  }
}
