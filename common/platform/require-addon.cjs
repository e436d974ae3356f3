// Stands in the bundle for the package of this name, which knows three run-time systems and looks for native parts as
// each of them would: 180 questions to the file system and 20 ms of processor time at each start.

module.exports = () => {
  const machine = `${process.platform}-${process.arch}`
  return require(`udx-native/prebuilds/${machine}/udx-native.node`)
}
