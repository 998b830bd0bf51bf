/** All that is said to run in browsers, kept whole in one bundle. */
import * as bitcoin from '@countersign/bitcoin';
import * as wasm from '@countersign/bitcoin/wasm';
import * as core from '@countersign/core';
import * as signer from '@countersign/host/signer';
import * as contract from '@countersign/store/contract';
import * as indexeddb from '@countersign/store/indexeddb';
import * as wire from '@countersign/wire';

export const everything = { bitcoin, wasm, core, signer, contract, indexeddb, wire };
