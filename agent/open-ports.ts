import { CulvertError } from '../common/errors.ts'
import type { AgentConfig } from './config/agent-config.ts'
import type { StablePorts } from './identity/stable-ports.ts'
import { UdpPorts, type UdpPortsOptions } from './nat/udp-ports.ts'
import { listenForPaths, type PathListener, type PathListenerOptions } from './path/tcp-listener.ts'

/** Listens on the configured port, or on the kept one; a kept one that is taken is replaced. */
export async function openTcpPort(
  config: AgentConfig,
  ports: StablePorts,
  options: Omit<PathListenerOptions, 'port'>,
): Promise<PathListener> {
  if (config.listen.tcp !== 0) return listenForPaths({ ...options, port: config.listen.tcp })
  for (let tries = 0; ; tries++) {
    try {
      return await listenForPaths({ ...options, port: ports.port('tcp') })
    } catch (thrown) {
      if (tries === 4 || !(thrown instanceof CulvertError) || thrown.code !== 'port-in-use') throw thrown
      await ports.replace('tcp')
    }
  }
}

/** As `openTcpPort`, for UDP; undefined on a machine that UDX is not built for. */
export async function openUdpPort(
  config: AgentConfig,
  ports: StablePorts,
  context: Omit<UdpPortsOptions, 'port'>,
): Promise<UdpPorts | undefined> {
  for (let tries = 0; ; tries++) {
    try {
      return await UdpPorts.open({ ...context, port: config.listen.udp || ports.port('udp') })
    } catch (thrown) {
      if (!(thrown instanceof CulvertError)) throw thrown
      if (thrown.code !== 'port-in-use') {
        context.log.warn('no direct paths over UDX', { reason: thrown.message })
        return undefined
      }
      if (config.listen.udp !== 0 || tries === 4) throw thrown
      await ports.replace('udp')
    }
  }
}
