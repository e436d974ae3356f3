/**
 * Bridges that container and VM engines make: their addresses are the same on every second machine, and no other one is
 * behind them. Docker names its own by twelve hex digits; a router's `br-lan` is a real one.
 */
const VIRTUAL = /^(docker|veth|virbr|podman|cni|flannel|cali|lxcbr|lxdbr|incusbr|vmnet|vboxnet|kube-|br-[0-9a-f]{12}$)/

/** Tunnels to somewhere else: what they say about addresses says nothing about the line under them. */
const TUNNEL = /^(tun|tap|utun|wg|tailscale|zt|nebula|ppp-vpn)/

export function isVirtualInterface(name: string): boolean {
  return VIRTUAL.test(name)
}

export function isTunnelInterface(name: string): boolean {
  return TUNNEL.test(name)
}
