/** The demo's script, played whole without its pauses: every payment goes through, every attack is refused, nothing is stolen. */
import { describe, expect, it } from 'vitest';
import { ATTACKS, playScript, Scene } from '../src/index.ts';

describe('the demo', () => {
  it('pays and is attacked, and nothing is missing at the end', async () => {
    const scene = await Scene.open();
    const lines: string[] = [];
    try {
      const isSound = await playScript(scene, { pause: async () => {} }, (line) => lines.push(line));
      const text = lines.join('\n');
      expect(text).toContain('Stolen: 0 sat');
      expect(isSound, text).toBe(true);
      const { attacks, stolenSat, certainSat, refused } = scene.facts();
      expect(new Set(attacks.map(({ title }) => title)).size).toBe(ATTACKS.length);
      expect(refused).toBe(ATTACKS.length);
      expect(stolenSat).toBe(0n);
      expect(certainSat).toBeGreaterThan(5_000_000);
    } finally {
      await scene.close();
    }
  });
});
