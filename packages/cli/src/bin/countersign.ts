#!/usr/bin/env node
/** The executable: arguments in, exit status out. */
import { runProgram } from '../program.ts';

process.exitCode = await runProgram(process.argv.slice(2));
