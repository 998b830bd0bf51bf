/** Answers past the streams: all of an answer leaves, whatever the pipe says, and a reader that is gone is no error. */
import { describe, expect, it } from 'vitest';
import { writeNow } from '../src/plugin/write-now.ts';

const failure = (code: string): Error => Object.assign(new Error(code), { code });

function play(text: string, steps: readonly (number | string)[]) {
  const told: string[] = [];
  let at = 0;
  let written = '';
  writeNow(text, {
    write: (bytes) => {
      const step = steps[at++] ?? bytes.length;
      if (typeof step === 'string') throw failure(step);
      written += Buffer.from(bytes.subarray(0, step)).toString();
      return step;
    },
    pause: () => void told.push('pause'),
    gone: () => void told.push('gone'),
  });
  return { told, written };
}

describe('an answer that leaves at once', () => {
  it('leaves in as many pieces as the pipe takes', () => {
    expect(play('{"result":"continue"}', [3, 5])).toEqual({ told: [], written: '{"result":"continue"}' });
  });

  it('waits for a pipe that is full', () => {
    const { told, written } = play('answer', [2, 'EAGAIN', 'EAGAIN']);
    expect(written).toBe('answer');
    expect(told).toEqual(['pause', 'pause']);
  });

  it('ends where nobody reads any more', () => {
    expect(play('answer', [1, 'EPIPE'])).toEqual({ told: ['gone'], written: 'a' });
  });

  it('hides no other failure', () => {
    expect(() => play('answer', ['EIO'])).toThrow('EIO');
  });
});
