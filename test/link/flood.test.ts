import { describe, expect, it } from 'vitest';
import { flood } from './flood.ts';

const MIB = 1024 * 1024;

describe('a flood at the open port of the node side', () => {
  it('does not touch the paired link, nor fill memory or log (A83)', async () => {
    const result = await flood({ seconds: 5, connections: 2_000, garbageBytesPerSecond: MIB });
    expect(result.victimAlive).toBe(true);
    expect(result.opened).toBe(2_000);
    expect(result.linksUp).toBe(1);
    expect(result.asked).toBeGreaterThan(100);
    expect(result.rssMaxBytes - result.rssBeforeBytes).toBeLessThan(256 * MIB);
    expect(result.logLines).toBeLessThan(40);
    expect(result.refusals.length).toBeGreaterThan(0);
  });
});
