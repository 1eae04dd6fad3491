// hallpass, the books and the page, until one of them ends or somebody interrupts.
//
// HALLPASS and BOOKS are their programs; HALLPASS_LISTEN (127.0.0.1:8080), BOOKS_LISTEN (127.0.0.1:8090) and PORT (5173) say
// where they listen, with 0 for any free port. Whatever else the environment says of hallpass is its own.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { createServer } from "vite";

const programs = [];

/** Starts a program; answers what the pattern finds in a line of its output. */
function start(program, options, settings, pattern) {
  const child = spawn(program, options, { env: { ...process.env, ...settings }, stdio: ["ignore", "pipe", "inherit"] });
  programs.push(child);
  return new Promise((found, failed) => {
    child.on("error", failed);
    child.on("exit", () => stop(new Error(`${program} has ended`)));
    createInterface(child.stdout).on("line", (line) => pattern.test(line) && found(line.match(pattern)[1]));
  });
}

function stop(error) {
  for (const child of programs) child.kill();
  if (error) console.error(error.message);
  process.exit(error ? 1 : 0);
}

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => stop());

const data = process.env.HALLPASS_DATA_DIR ? [] : ["--data-dir", "../../target/starter"];
const listen = process.env.HALLPASS_LISTEN ?? "127.0.0.1:8080";
const hallpass = await start(process.env.HALLPASS, ["dev", "--listen", listen, ...data], {}, /Docs\s+(http:\/\/[^/]+)\/docs/);
const books = await start(process.env.BOOKS, [], { HALLPASS_ISSUER: hallpass }, /^books listens on (.*)$/);
process.env.BOOKS_URL = `http://${books}`;
// By the name that the page has: to a browser, localhost and 127.0.0.1 are two sites, and the cookie stays on its own.
const url = hallpass.replace("//127.0.0.1:", "//localhost:");
process.env.VITE_HALLPASS_URL = url;
const page = await createServer({ server: { port: Number(process.env.PORT ?? 5173), strictPort: true } });
await page.listen();
console.log(`hallpass  ${url}\nbooks     ${process.env.BOOKS_URL}\nthe page  ${page.resolvedUrls.local[0]}`);
