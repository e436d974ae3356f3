/** Of a pipe to alice. */
export const PIPE_HEAD_HEX = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'
