/** Where a follower says what it does; texts hold no secret. */

export type ChainLogLevel = 'debug' | 'info' | 'warn' | 'error';
export type ChainLog = (level: ChainLogLevel, text: string) => void;
