"use strict";

// Sets up Swagger UI and takes the tokens of answers over into "Authorize", so that nobody has to
// copy a refresh token that the next refresh replaces.
(() => {
  const root = new URL("..", document.currentScript.src); // where the API's "/" is, also behind a path prefix
  const refreshHeader = "x-refresh-token";

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const applyTheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", applyTheme);
  applyTheme();

  const ui = SwaggerUIBundle({
    url: new URL("openapi.json", root).pathname,
    domNode: document.getElementById("api"),
    deepLinking: true,
    persistAuthorization: true,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    validatorUrl: null,
    requestInterceptor: keepPathPrefix,
    responseInterceptor: takeTokens,
    onComplete: linkSteps,
    plugins: [{ statePlugins: { auth: { wrapSelectors: { isAuthorized: lockedByTokensAlone } } } }],
  });

  // Of a requirement that nothing meets as well, Swagger UI would show a closed padlock to everyone.
  function lockedByTokensAlone(isAuthorized) {
    return (state, security) => isAuthorized(security?.filter((alternative) => alternative.size));
  }

  function keepPathPrefix(request) {
    const url = new URL(request.url, root);
    if (url.origin === root.origin && !url.pathname.startsWith(root.pathname)) {
      url.pathname = root.pathname + url.pathname.slice(1);
      request.url = url.href;
    }
    return request;
  }

  function takeTokens(response) {
    if (!response.ok) return response;
    if (new URL(response.url, root).pathname.endsWith("/auth/logout")) {
      ui.authActions.logoutWithPersistOption(Object.keys(schemes()));
      return response;
    }
    const { accessToken, refreshToken } = Object(response.body);
    const authorized = {};
    for (const [name, schema] of Object.entries(schemes())) {
      const value = takesRefreshToken(schema)
        ? refreshToken
        : schema.scheme === "bearer" && (accessToken ?? response.headers["x-access-token"]);
      if (typeof value === "string") authorized[name] = { name, schema, value };
    }
    if (Object.keys(authorized).length) ui.authActions.authorizeWithPersistOption(authorized);
    return response;
  }

  function schemes() {
    const found = ui.specSelectors.specJson().getIn(["components", "securitySchemes"]);
    return found ? found.toJS() : {};
  }

  function takesRefreshToken(schema) {
    return schema.in === "header" && schema.name.toLowerCase() === refreshHeader;
  }

  function linkSteps() {
    const paths = ui.specSelectors.specJson().get("paths").toJS();
    for (const link of document.querySelectorAll("[data-operation]")) {
      const [method, path] = link.dataset.operation.split(" ");
      const operation = paths[path]?.[method];
      if (!operation?.operationId) continue;
      const tag = operation.tags?.[0] ?? "default";
      link.href = `#/${encodeURIComponent(tag)}/${encodeURIComponent(operation.operationId)}`;
      link.addEventListener("click", () => ui.layoutActions.parseDeepLinkHash(decodeURIComponent(link.hash)));
    }
    const authorize = document.querySelector("[data-authorize]");
    authorize.href = "#/";
    authorize.addEventListener("click", (event) => {
      event.preventDefault();
      ui.authActions.showDefinitions(ui.authSelectors.definitionsToAuthorize());
    });
    ui.getStore().subscribe(showAuthorized);
    showAuthorized();
  }

  const status = document.getElementById("authorized");
  const hint = [...status.childNodes];
  function showAuthorized() {
    const done = ui.authSelectors.authorized()?.size > 0;
    if (done === status.classList.contains("done")) return;
    status.classList.toggle("done", done);
    status.replaceChildren(...(done ? ["Done: requests below carry your tokens."] : hint));
  }
})();
