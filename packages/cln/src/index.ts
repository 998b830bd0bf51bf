/** What stands in the place of lightningd's hsmd: descriptors, status messages, the version to give as ours. */

export { type NodeLinkFiles as LinkFiles, nodeLinkFiles as linkFiles } from '@countersign/transport';
export { CONFIG_VARIABLE, readConfig } from './config-file.ts';
export * from './descriptors.ts';
export { LINK_SOCKET, type LinkStanding, readStanding } from './remote/standing.ts';
export * from './status.ts';
export * from './version.ts';
