/** Moving frames and descriptors: length-prefixed frames over sockets, and file descriptors over Unix sockets. */
export * from './blocking-frames.ts';
export * from './error.ts';
export * from './frame-socket.ts';
export * from './frames.ts';
export * from './link/index.ts';
export * from './sync-door.ts';
export * from './unix-descriptors.ts';
export * from './unix-listener.ts';
