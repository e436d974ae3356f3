/**
 * How much longer than promised something may take in the suite, since a build server is slow or busy with something
 * else; what is promised holds on a quiet machine, and is held to it when figures are made, with CULVERT_FULL.
 */
export const SLACK = process.env.CULVERT_FULL === undefined ? 4 : 1
