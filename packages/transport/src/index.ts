export * from './blocking-frames.ts';
export * from './error.ts';
export * from './frame-socket.ts';
export * from './frames.ts';
export * from './unix-descriptors.ts';
