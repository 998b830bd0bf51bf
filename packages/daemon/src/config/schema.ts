/** The form of `signer.toml`. The message of each part is what an error tells the operator to write there. */
import { type FileForm, line, oneOf, whole } from '@countersign/host';
import * as v from 'valibot';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;
export const NETWORK_NAMES = ['bitcoin', 'testnet', 'testnet4', 'signet', 'regtest'] as const;
/** How keys follow from a seed: as in Core Lightning, or as in LDK's KeysManager. */
export const KEY_STYLES = ['cln', 'ldk'] as const;
export const TRANSPORTS = ['link', 'vls-grpc'] as const;
const WORKERS_MAX = 64;
const DESCRIPTOR_MIN = 3;
const DESCRIPTOR_MAX = 1023;

const file = line('the path of a file, in quotes');
const address = line('an address in quotes: "host:port" or "unix:/path/of/a/socket"');

const link = v.strictObject(
  {
    transport: v.optional(oneOf(TRANSPORTS)),
    dial: v.optional(address),
    url: v.optional(line('an address in quotes: "http://host:port"')),
    pin: v.optional(
      v.pipe(
        v.string('the pin of a key: 64 digits of hex'),
        v.regex(/^[0-9a-f]{64}$/, 'the pin of a key: 64 digits of hex, in lower case'),
      ),
    ),
  },
  'a table: [node.NAME.link] on a line of its own, its keys below',
);

export const node = v.strictObject(
  {
    // Needed; that it is missing is told in better words than the schema's.
    network: v.optional(oneOf(NETWORK_NAMES)),
    key_style: v.optional(oneOf(KEY_STYLES)),
    directory: v.optional(line('the path of a directory, in quotes')),
    seed_file: v.optional(file),
    policy_file: v.optional(file),
    passphrase_credential: v.optional(line('the name of a credential, in quotes')),
    passphrase_file: v.optional(file),
    passphrase_fd: v.optional(whole(DESCRIPTOR_MIN, DESCRIPTOR_MAX, 'a descriptor')),
    link: v.optional(link),
  },
  'a table: [node.NAME] on a line of its own, its keys below',
);

export const document = v.strictObject({
  log_level: v.optional(oneOf(LOG_LEVELS)),
  workers: v.optional(whole(0, WORKERS_MAX, 'threads')),
  health: v.optional(
    v.strictObject(
      { listen: v.optional(line('an address of this machine: "127.0.0.1:9739" or "unix:health.sock"')) },
      'a table: [health] on a line of its own, its keys below',
    ),
  ),
  // Names are the operator's: each table is checked by itself.
  node: v.optional(v.record(v.string(), v.unknown(), 'tables: [node.NAME]')),
});

export const FORM: FileForm = { document, tables: ['', 'health'] };
