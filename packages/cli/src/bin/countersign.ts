#!/usr/bin/env node
/**
 * The executable: arguments in, exit status out. Loads nothing before it knows that this Node.js can run it, so that
 * an old one gets a sentence and not a stack trace.
 */

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < 22 || (major === 22 && minor < 13)) {
  process.stderr.write(
    `countersign: needs Node.js 22.13 or newer, and this is ${process.versions.node}. ` +
      'Run it through npm ("npm start", "npm run replay"), which brings a new one, or install Node.js 24.\n',
  );
  process.exitCode = 2;
} else {
  const { runProgram } = await import('../program.ts');
  process.exitCode = await runProgram(process.argv.slice(2));
}
