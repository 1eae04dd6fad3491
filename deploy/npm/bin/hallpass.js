#!/usr/bin/env node
// Runs the program of this machine's platform, which is a package of its own.

import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { constants } from "node:os";

const platform = `${process.platform}-${process.arch}`;
const name = `@hallpass/${platform}`;

function find() {
  try {
    return createRequire(import.meta.url).resolve(`${name}/hallpass`);
  } catch {
    console.error(`hallpass has no program for ${platform}: the package ${name} is not installed.`);
    console.error("Where there is one, optional packages were left out (npm install --omit=optional).");
    process.exit(1);
  }
}

const child = spawn(find(), process.argv.slice(2), { stdio: "inherit" });
// A terminal tells the whole group; a process manager tells this one alone.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`hallpass does not start: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
