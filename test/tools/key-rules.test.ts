/** Nothing outside of core/src/keys signs, derives a private key, or shows a secret. */
import { describe, expect, it } from 'vitest';
import { checkKeys } from '../../tools/key-rules.ts';
import { workspaceOf } from './workspace.ts';

const KEYS_FILES = {
  'keys/sign.ts': 'export function signFunding() { return secp.signEcdsa(hash, key); }',
  'keys/release.ts': 'export function deriveSecret() { return ring.ecdh(point, key); }',
  'keys/perform.ts': 'export function perform() {}',
  'keys/sign-job.ts': 'export function signJob() {}',
  'keys/sign-node.ts': 'export function signHeartbeat() {}',
  'keys/digests.ts': 'export function gossipDigest() {}',
  'keys/index.ts': "export { Secret } from './secret.ts';\nexport { signFunding } from './sign.ts';",
};

/** What is said about one file more. */
function judge(path: string, text: string): string[] {
  const [, directory, name] = /^(\w+)\/(.+)$/.exec(path)!;
  const core = directory === 'core' ? { ...KEYS_FILES, [name!]: text } : KEYS_FILES;
  const workspace = workspaceOf({
    core: { files: core },
    ...(directory === 'core' ? {} : { [directory!]: { files: { [name!]: text } } }),
  });
  return checkKeys(workspace).map(({ path, line, message }) => `${path}:${line}: ${message}`);
}

describe('the curve', () => {
  const methods = [
    'signEcdsa',
    'signEcdsaRecoverable',
    'signSchnorr',
    'privateKeyTweakAdd',
    'privateKeyTweakMul',
    'privateKeyNegate',
    'ecdh',
  ];
  it.each(methods)('%s belongs to keys', (method) => {
    const text = `\nconst x = ctx.secp\n  .${method}(a, b);`;
    for (const path of ['core/ratchet/holder.ts', 'host/signer.ts', 'cln/hsmd.ts', 'cli/x.ts'])
      expect(judge(path, text)).toEqual([expect.stringContaining(`:3: ${method} takes a private key`)]);
    expect(judge('core/keys/sign-node.ts', text)).toEqual([]);
    expect(judge('bitcoin/curve.ts', text)).toEqual([]);
    expect(judge('adversary/bitcoin/keys.ts', text)).toEqual([]);
  });

  it('is found when taken apart', () => {
    expect(judge('host/x.ts', 'const { signSchnorr } = secp;')).toHaveLength(1);
    expect(judge('host/x.ts', 'const sign = secp.signEcdsa;')).toHaveLength(1);
    expect(judge('host/x.ts', 'secp?.ecdh(a, b)')).toHaveLength(1);
  });

  it('leaves verification, names and comments alone', () => {
    const text = "secp.verifyEcdsa(a); // secp.signEcdsa\nconst ecdh = handlers['signEcdsa'];";
    expect(judge('core/decide.ts', text)).toEqual([]);
  });
});

describe('private keys of @countersign/bitcoin', () => {
  it.each([
    'derivePrivateKey',
    'deriveRevocationPrivateKey',
    'generateFromSeed',
    'perCommitmentSecret',
    'taprootPrivateKey',
  ])('%s belongs to keys', (name) => {
    const text = `import {\n  ${name} as x,\n} from '@countersign/bitcoin';`;
    expect(judge('core/ratchet/x.ts', text)).toHaveLength(1);
    expect(judge('cln/x.ts', text)).toHaveLength(1);
    expect(judge('core/keys/x.ts', text)).toEqual([]);
  });

  it('are not imported with everything', () => {
    expect(judge('core/x.ts', "import * as b from '@countersign/bitcoin';")).toHaveLength(1);
    expect(judge('core/x.ts', "const b = await import('@countersign/bitcoin');")).toHaveLength(1);
  });

  it('leave public ones alone', () => {
    expect(judge('core/x.ts', "import { derivePublicKey, sha256 } from '@countersign/bitcoin';")).toEqual([]);
  });
});

describe('the folder of keys', () => {
  it.each(['sign.ts', 'release.ts', 'perform.ts', 'secret.ts', 'keyring.ts', 'index.ts'])(
    'is not imported by the deciding code: %s',
    (name) => {
      const text = `import { x } from '../keys/${name}';`;
      expect(judge('core/ratchet/x.ts', text)).toHaveLength(1);
      expect(judge('core/ratchet/x.ts', `import type { X } from '../keys/${name}';`)).toEqual([]);
    },
  );

  it('gives digests to everyone, and all to the index of core', () => {
    expect(judge('core/identity/x.ts', "import { gossipDigest } from '../keys/digests.ts';")).toEqual([]);
    expect(judge('core/index.ts', "export * from './keys/index.ts';")).toEqual([]);
  });

  it.each(['reveal', 'ringSecrets', 'channelKeys', 'withTemporary', 'withWalletKey', '*'])(
    'does not export %s',
    (name) => {
      const names = name === '*' ? '*' : `{ ${name} }`;
      expect(judge('core/keys/index.ts', `export ${names} from './secret.ts';`)).toHaveLength(1);
    },
  );
});

describe('signing functions of @countersign/core', () => {
  it.each(['signFunding', 'deriveSecret', 'perform', '*'])('%s is for nobody else', (name) => {
    const text =
      name === '*'
        ? "import * as c from '@countersign/core';"
        : `import { ${name} } from '@countersign/core';`;
    expect(judge('cln/start.ts', text)).toHaveLength(1);
    expect(judge('host/memory.ts', text)).toHaveLength(1);
  });

  it('perform is for what releases for the signer, a job for its threads', () => {
    const text = "import { perform, jobsOf } from '@countersign/core';";
    expect(judge('host/release/releaser.ts', text)).toEqual([]);
    expect(judge('host/signer.ts', text)).toHaveLength(1);
    const job = "import { signJob } from '@countersign/core';";
    expect(judge('host/release/worker.ts', job)).toEqual([]);
    expect(judge('host/release/releaser.ts', job)).toHaveLength(1);
    expect(judge('host/signer.ts', "import { signFunding } from '@countersign/core';")).toHaveLength(1);
    const heartbeat = "import { signHeartbeat } from '@countersign/core';";
    expect(judge('host/signer.ts', heartbeat)).toEqual([]);
    expect(judge('host/heartbeat/writer.ts', heartbeat)).toHaveLength(1);
  });

  it('types and the rest are for everyone', () => {
    expect(judge('cln/x.ts', "import { type Release, decide, KeyRing } from '@countersign/core';")).toEqual(
      [],
    );
  });
});

it('says so when there is nothing to guard', () => {
  expect(checkKeys(workspaceOf({ core: { files: { 'x.ts': '' } } }))).toHaveLength(1);
});
