"use strict";

// A request as a program in JavaScript (fetch) and in Python (requests), to be copied and run.
const hallpassSnippets = (() => {
  const indent = (text, by) => text.replaceAll("\n", `\n${by}`);
  const headersOf = (request) => request.get("headers")?.toJS?.() ?? {};
  const text = (value) => JSON.stringify(value); // a string literal in both languages

  // The body as what it means, if the literal that is written for it makes the same text again.
  function bodyOf(request) {
    const body = request.get("body");
    if (body === undefined || body === null || body === "") return {};
    if (typeof body !== "string") return { json: body.toJS?.() ?? body };
    const type = Object.entries(headersOf(request)).find(([name]) => name.toLowerCase() === "content-type")?.[1] ?? "";
    if (type.startsWith("application/x-www-form-urlencoded")) {
      const fields = [...new URLSearchParams(body)];
      if (new Set(fields.map(([name]) => name)).size === fields.length) return { form: Object.fromEntries(fields) };
    }
    if (type.startsWith("application/json")) {
      try {
        const json = JSON.parse(body);
        const dense = body.replace(/("(?:[^"\\]|\\.)*")|\s+/g, "$1");
        if (JSON.stringify(json) === dense) return { json };
      } catch {
        // It is sent as it is, and refused as it was.
      }
    }
    return { text: body };
  }

  function javascript(request) {
    const literal = (value) => indent(JSON.stringify(value, null, 2), "  ");
    const body = bodyOf(request);
    const lines = [`method: ${text(request.get("method"))},`];
    const headers = headersOf(request);
    if (Object.keys(headers).length) lines.push(`headers: ${literal(headers)},`);
    if (body.json !== undefined) lines.push(`body: JSON.stringify(${literal(body.json)}),`);
    if (body.form) lines.push(`body: new URLSearchParams(${literal(body.form)}),`);
    if (body.text !== undefined) lines.push(`body: ${text(body.text)},`);
    return [
      `const response = await fetch(${text(request.get("url"))}, {`,
      ...lines.map((line) => `  ${line}`),
      "});",
      "console.log(response.status, await response.text());",
    ].join("\n");
  }

  function pythonic(value, depth = 0) {
    const pad = "    ".repeat(depth + 1);
    const block = (open, entries, close) =>
      entries.length ? `${open}\n${entries.map((entry) => `${pad}${entry},\n`).join("")}${"    ".repeat(depth)}${close}` : open + close;
    if (value === null) return "None";
    if (typeof value === "boolean") return value ? "True" : "False";
    if (Array.isArray(value)) return block("[", value.map((item) => pythonic(item, depth + 1)), "]");
    if (typeof value === "object") {
      return block("{", Object.entries(value).map(([name, item]) => `${text(name)}: ${pythonic(item, depth + 1)}`), "}");
    }
    return text(value);
  }

  function python(request) {
    const literal = (value) => pythonic(value, 1);
    const body = bodyOf(request);
    const lines = [`${text(request.get("method"))},`, `${text(request.get("url"))},`];
    const headers = headersOf(request);
    if (Object.keys(headers).length) lines.push(`headers=${literal(headers)},`);
    if (body.json !== undefined) lines.push(`json=${literal(body.json)},`);
    if (body.form) lines.push(`data=${literal(body.form)},`);
    if (body.text !== undefined) lines.push(`data=${text(body.text)}.encode(),`);
    return [
      "import requests",
      "",
      "response = requests.request(",
      ...lines.map((line) => `    ${line}`),
      ")",
      "print(response.status_code, response.text)",
    ].join("\n");
  }

  return { javascript, python };
})();
