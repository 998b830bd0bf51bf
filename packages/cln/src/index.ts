export * from './descriptors.ts';
export * from './status.ts';
export * from './version.ts';
