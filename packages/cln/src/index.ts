/** What stands in the place of lightningd's hsmd: descriptors, status messages, the version to give as ours. */
export * from './descriptors.ts';
export * from './refusal-form.ts';
export * from './status.ts';
export * from './version.ts';
