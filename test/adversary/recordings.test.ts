/** Sessions of real nodes with changed requests in between: whatever of them is granted, the owner keeps what it had. */
import { attackRecording } from '@countersign/adversary';
import { describe, expect, it } from 'vitest';
import { RECORDED_SCENARIOS, recordedGame, recordedNodes } from './recordings.ts';

describe.each(RECORDED_SCENARIOS)('%s', (scenario) => {
  for (const node of recordedNodes(scenario)) {
    it(`${node.name}, changed in many places`, async () => {
      const { subject, terms } = await recordedGame(node);
      const result = await attackRecording(subject, terms, node.session, { seed: 5, changesPerRequest: 2 });
      expect(result.theft).toBeNull();
      expect(result.highSat).toBeGreaterThan(0);
      expect(result.changed).toBeGreaterThan(node.session.length);
      await subject.close();
    });
  }
});
