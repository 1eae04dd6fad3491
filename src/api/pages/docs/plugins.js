"use strict";

// What Swagger UI lacks: a search over operations, errors that take one line each, a request in more languages, and
// forms that are filled with what works and send what they show.

// The bodies that log in, by their operations; other bodies of an address and a password make accounts.
const LOGINS = ["login", "signIn", "createAccessToken"];

// A document with the samples as its examples: of logins the account, of OAuth's forms the client.
function withSamples(document, { account, client }) {
  const schemas = document.components?.schemas ?? {};
  const fill = (schema, values) => {
    for (const [name, value] of Object.entries(values)) {
      if (schema.properties?.[name]) schema.properties[name].example = value;
    }
  };
  for (const operation of Object.values(document.paths).flatMap((path) => Object.values(path))) {
    if (!account || !LOGINS.includes(operation.operationId)) continue;
    for (const media of Object.values(operation.requestBody.content)) media.example = { ...media.example, ...account };
    const form = operation.requestBody.content["application/x-www-form-urlencoded"];
    if (form) fill(schemas[form.schema.$ref.split("/").pop()], account);
  }
  for (const schema of Object.values(schemas)) {
    if (client && schema.properties?.client_secret) fill(schema, client);
  }
  return document;
}

const hallpassPlugins = (() => {
  // ---- Search: every word is in the method, the path, the summary, the name or the tag of an operation.

  const search = ({ React }) => {
    const wordsOf = (phrase) => phrase.toLowerCase().split(/\s+/).filter(Boolean);

    function opsFilter(tags, phrase) {
      const words = wordsOf(phrase);
      const matches = (tag) => (entry) => {
        const operation = entry.get("operation");
        const said = [tag, entry.get("method"), entry.get("path"), operation.get("summary"), operation.get("operationId")];
        const text = said.join(" ").toLowerCase();
        return words.every((word) => text.includes(word));
      };
      const found = tags.map((details, tag) => details.update("operations", (all) => all.filter(matches(tag))));
      return found.filter((details) => details.get("operations").size);
    }

    function FilterContainer({ layoutSelectors, layoutActions, specSelectors }) {
      const filter = layoutSelectors.currentFilter();
      const phrase = typeof filter === "string" ? filter : "";
      const found = specSelectors.taggedOperations().reduce((sum, details) => sum + details.get("operations").size, 0);
      const count = found === 1 ? "1 operation" : `${found || "No"} operations`;
      return React.createElement("search", { className: "search column" },
        React.createElement("input", {
          type: "search",
          "aria-label": "Search operations",
          placeholder: "Search operations: a path, a method, words",
          value: phrase,
          onChange: (event) => layoutActions.updateFilter(event.target.value),
        }),
        React.createElement("span", { role: "status" }, wordsOf(phrase).length ? count : ""));
    }

    // Where a search finds nothing, Swagger UI says that the document has no operations.
    const operations = (Original, system) => (props) =>
      system.specSelectors.taggedOperations().size ? React.createElement(Original, props) : null;

    return { fn: { opsFilter }, components: { FilterContainer }, wrapComponents: { operations } };
  };

  // ---- What is wrong, and headers, in one line each until somebody wants more.

  const folds = ({ React }) => {
    const response = (Original) => function Response(props) {
      const [isOpen, setOpen] = React.useState(false);
      if (!/^[45]/.test(props.code)) return React.createElement(Original, props);
      const description = String(props.response.get("description") ?? "").replaceAll("`", "");
      const line = React.createElement("tr", { className: "response folded", key: "line" },
        React.createElement("td", { className: "response-col_status" }, props.code),
        React.createElement("td", { className: "response-col_description" },
          React.createElement("button", { type: "button", className: "fold", "aria-expanded": isOpen, onClick: () => setOpen(!isOpen) }, description)));
      const whole = isOpen && React.createElement(Original, { ...props, key: "whole", className: `${props.className ?? ""} unfolded` });
      return React.createElement(React.Fragment, null, line, whole);
    };

    const headers = (Original) => (props) =>
      React.createElement("details", { className: "headers-fold" },
        React.createElement("summary", null, `Headers: ${props.headers.keySeq().join(", ")}`),
        React.createElement(Original, props));

    return { wrapComponents: { response, headers } };
  };

  // ---- The request in the language that was chosen last.

  const snippets = ({ React }) => {
    const chosen = "hallpass-snippets";
    const LANGUAGES = {
      curl: { title: "curl", highlight: "bash", write: (request, fn) => fn.requestSnippetGenerator_curl_bash(request) },
      javascript: { title: "JavaScript", highlight: "javascript", write: hallpassSnippets.javascript },
      python: { title: "Python", write: hallpassSnippets.python },
    };

    function RequestSnippets({ request, fn, getComponent }) {
      const [language, setLanguage] = React.useState(() => localStorage.getItem(chosen));
      const shown = LANGUAGES[language] ? language : "curl";
      const choose = (name) => {
        localStorage.setItem(chosen, name);
        setLanguage(name);
      };
      const tab = ([name, { title }]) =>
        React.createElement("button", { key: name, type: "button", "aria-pressed": name === shown, onClick: () => choose(name) }, title);
      const text = LANGUAGES[shown].write(request, fn);
      return React.createElement("div", { className: "snippets" },
        React.createElement("div", { className: "languages", role: "group", "aria-label": "Language" }, Object.entries(LANGUAGES).map(tab)),
        React.createElement(getComponent("HighlightCode", true), { key: shown, language: LANGUAGES[shown].highlight, canCopy: true, className: "snippet" }, text));
    }

    return { components: { RequestSnippets } };
  };

  // ---- Forms: a field that may be left out and is empty is left out, unless its box is ticked.

  const forms = ({ React }) => {
    const ParameterIncludeEmpty = (Original) => (props) =>
      React.createElement(Original, { ...props, isIncludedOptions: { ...props.isIncludedOptions, defaultValue: false } });
    return { wrapComponents: { ParameterIncludeEmpty } };
  };

  return [search, folds, snippets, forms];
})();
