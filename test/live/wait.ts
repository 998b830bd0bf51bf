/** Bounded waiting. Promises that no wait is endless and that a wait that fails says what it waited for and what it last saw. */

export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
}

const POLL_MS = 25;

export function sleep(delay_ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delay_ms));
}

/** Polls `probe` until it gives something other than undefined or false. An error of `probe` ends the wait. */
export async function until<T>(
  what: string,
  timeout_ms: number,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const deadline_ms = performance.now() + timeout_ms;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline_ms) throw new TimeoutError(`waited ${timeout_ms} ms for ${what}`);
    await sleep(POLL_MS);
  }
}

/** The promise's value, or a TimeoutError; the promise itself is left alone. */
export async function within<T>(what: string, timeout_ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeoutError(`waited ${timeout_ms} ms for ${what}`)), timeout_ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
