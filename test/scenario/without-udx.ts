/** In NODE_OPTIONS, makes an agent's machine one that udx-native is not built for. */
export const WITHOUT_UDX = `--import=data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module'
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier.startsWith('udx-native')) throw new Error('not built for this machine')
      return next(specifier, context)
    },
  })
`)}`
