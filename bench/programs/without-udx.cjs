const { registerHooks } = require('node:module')

// Loaded before an agent, makes its machine one for which udx-native has no build: there UDP paths are data channels.
registerHooks({
  resolve(specifier, context, next) {
    if (specifier.startsWith('udx-native')) throw new Error('udx-native is hidden from this process')
    return next(specifier, context)
  },
})
