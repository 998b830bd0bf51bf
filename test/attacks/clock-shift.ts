/** Loaded before the signer where a scenario lets its clock jump: the attacker may set the time of the machine. */
const shiftMs = Number(process.env.CLOCK_SHIFT_SECONDS ?? '0') * 1000;
const now = Date.now.bind(Date);
Date.now = () => now() + shiftMs;
