"use strict";

// Sets up Swagger UI, logs in with an e-mail address and a password, and keeps that fresh: whoever explores the API has to copy
// no token, and meets no expiry. The refresh token of a login at the top is in a cookie, where no script of this origin reads it.
(() => {
  const root = new URL("..", document.currentScript.src); // where the API's "/" is, also behind a path prefix
  const refreshHeader = "x-refresh-token";
  const accessHeader = "x-access-token";
  const storage = "authorized"; // where Swagger UI persists credentials, for all tabs
  const REFRESH = "auth/refresh-token";
  const LOGOUT = "auth/logout";
  const MODE = "Hallpass-Mode"; // has the refresh token come and go in a cookie

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const applyTheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", applyTheme);
  applyTheme();

  const home = document.getElementById("api");
  const samples = JSON.parse(home.dataset.samples); // what everybody knows of `hallpass dev`; else nothing

  const ui = SwaggerUIBundle({
    url: new URL(chosenDocument(), root).pathname,
    domNode: home,
    deepLinking: true,
    persistAuthorization: true,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    validatorUrl: null,
    filter: true,
    requestSnippetsEnabled: true,
    requestInterceptor: (request) => (request.loadSpec ? filledIn(request) : withFreshTokens(asWhatIsGiven(keepPathPrefix(request)))),
    responseInterceptor: takeTokens,
    onComplete: ready,
    plugins: [{ statePlugins: { auth: { wrapSelectors: { isAuthorized: lockedByTokensAlone } } } }, ...hallpassPlugins],
  });

  // The document that the address names, if the page links to it; else the main one.
  function chosenDocument() {
    const name = new URLSearchParams(location.search).get("document");
    const links = [...document.querySelectorAll(".documents a")];
    const chosen = links.find((link) => link.dataset.document && link.dataset.document === name);
    (chosen ?? links[0])?.setAttribute("aria-current", "page");
    return chosen ? `openapi/${name}` : "openapi.json";
  }

  // Of a requirement that nothing meets as well, Swagger UI would show a closed padlock to everyone.
  function lockedByTokensAlone(isAuthorized) {
    return (state, security) => isAuthorized(security?.filter((alternative) => alternative.size));
  }

  function filledIn(request) {
    request.responseInterceptor = (response) => {
      response.text = JSON.stringify(withSamples(JSON.parse(response.text), samples));
      return response;
    };
    return request;
  }

  // Nothing goes along that the page does not show, and to no challenge does the browser open a box of its own. What takes the refresh
  // token of a login at the top, which the page does not have, is sent as the page itself sends it.
  function asWhatIsGiven(request) {
    request.credentials = "omit";
    const isOurs = [REFRESH, LOGOUT].some((path) => new URL(request.url, root).href.split("?")[0] === new URL(path, root).href);
    if (!isOurs || !tokens().inCookie) return request;
    request.headers[MODE] = "cookie";
    request.credentials = "include";
    return request;
  }

  function keepPathPrefix(request) {
    const url = new URL(request.url, root);
    if (url.origin === root.origin && !url.pathname.startsWith(root.pathname)) {
      url.pathname = root.pathname + url.pathname.slice(1);
      request.url = url.href;
    }
    return request;
  }

  // ---- The tokens, as "Authorize" has them.

  function schemes() {
    const found = ui.specSelectors.specJson().getIn(["components", "securitySchemes"]);
    return found ? found.toJS() : {};
  }

  function takesRefreshToken(schema) {
    if (schema.scheme === "bearer") return schema.bearerFormat !== "JWT";
    return schema.in === "header" && schema.name.toLowerCase() === refreshHeader;
  }

  function takesAccessToken(schema) {
    return schema.scheme === "bearer" || (schema.in === "header" && schema.name.toLowerCase() === accessHeader);
  }

  const isCookie = (schema) => schema.in === "page"; // a place of our own: into those of `cookie` Swagger UI writes itself

  // A refresh token that is given counts before the one in the cookie.
  function tokens(authorized = ui.authSelectors.authorized()?.toJS() ?? {}) {
    const entries = Object.values(authorized);
    const valueOf = (takes) => entries.find(({ schema, value }) => takes(schema) && typeof value === "string")?.value;
    const refresh = valueOf(takesRefreshToken);
    const access = valueOf((schema) => takesAccessToken(schema) && !takesRefreshToken(schema));
    return { access, refresh, inCookie: !refresh && Boolean(valueOf(isCookie)) };
  }

  // Whether there is something to keep them fresh with.
  const canRefresh = ({ refresh, inCookie }) => Boolean(refresh || inCookie);

  // Under every name that a token has, in this document or in another one that it was taken over
  // from. A document without a place for refresh tokens keeps one all the same: it buys the next. That one is in a
  // cookie is kept as if it were a token as well: all tabs and a reload know it then.
  const KEPT = {
    RefreshToken: { type: "apiKey", in: "header", name: "X-Refresh-Token" },
    RefreshCookie: { type: "apiKey", in: "page", name: "hallpass" },
  };

  function authorize({ access, refresh, inCookie }) {
    const authorized = {};
    const elsewhere = Object.entries(ui.authSelectors.authorized()?.toJS() ?? {}).map(([name, { schema }]) => [name, schema]);
    for (const [name, schema] of Object.entries({ ...KEPT, ...Object.fromEntries(elsewhere), ...schemes() })) {
      const value = isCookie(schema) ? inCookie && "kept" : takesRefreshToken(schema) ? refresh : takesAccessToken(schema) && access;
      if (typeof value === "string") authorized[name] = { name, schema, value };
    }
    if (Object.keys(authorized).length) ui.authActions.authorizeWithPersistOption(authorized);
  }

  // Those of an answer that came just now.
  function take({ access, refresh, inCookie }) {
    if (typeof access === "string") arrived = { access, at: now() };
    authorize({ access, refresh, inCookie });
  }

  function forget() {
    ui.authActions.logoutWithPersistOption(Object.keys(ui.authSelectors.authorized().toJS()));
  }

  function takeTokens(response) {
    if (!response.ok) return response;
    // Without content is what a logout of the access-tokens API answers, and nothing else.
    const loggedOut = /\/auth\/(logout|signout)$/.test(new URL(response.url, root).pathname);
    if (loggedOut || response.status === 204) {
      forget();
      return response;
    }
    const body = Object(response.body);
    const refresh = (body.refreshToken ?? body.refresh_token) || undefined; // it is empty where the cookie has it
    // A client's own token, which comes without a refresh token, is nobody's login.
    const access = body.accessToken ?? body.jwt ?? (refresh && body.access_token);
    take({ access: access ?? response.headers["x-access-token"], refresh });
    return response;
  }

  // A request of the page's own; null if no answer comes.
  function send(path, { headers, body, inCookie }) {
    const mode = inCookie ? { credentials: "include", headers: { ...headers, [MODE]: "cookie" } } : { credentials: "omit", headers };
    return fetch(new URL(path, root), { method: "POST", body, ...mode }).catch(() => null);
  }

  // ---- Keeping them fresh.

  const MARGIN = 60; // seconds before its end at which an access token is replaced, of a short one a third

  function claims(access) {
    try {
      const payload = access.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
      return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (c) => c.charCodeAt(0))));
    } catch {
      return {};
    }
  }

  // Seconds until the token is to be replaced. Clocks differ: when a token came is known of those that
  // came to this page; of others, what they say themselves is believed.
  let arrived = { access: undefined, at: 0 };
  const now = () => Date.now() / 1000;
  function freshFor(access) {
    const { exp, iat } = claims(access ?? "");
    if (!exp) return access ? Infinity : 0;
    const lifetime = exp - iat;
    const began = access === arrived.access ? arrived.at : Math.min(iat, now());
    return began + lifetime - Math.min(MARGIN, lifetime / 3) - now();
  }

  // What changes the cookie, or redeems a token, comes one after the other in all tabs.
  const alone = (task) => (navigator.locks ? navigator.locks.request("hallpass-refresh", task) : task());

  // Once at a time in this tab, and in all tabs together: another one may have refreshed already.
  let freshening;
  function freshen() {
    freshening ??= alone(refreshOnce).finally(() => {
      freshening = undefined;
      schedule();
    });
    return freshening;
  }

  async function refreshOnce() {
    adoptPersisted();
    const before = tokens();
    const { access, refresh, inCookie } = before;
    if (!canRefresh(before) || freshFor(access) > 0) return;
    const headers = refresh ? { "X-Refresh-Token": refresh } : {};
    const response = await send(REFRESH, { headers, inCookie });
    if (response?.ok) {
      const body = await response.json();
      take({ access: body.accessToken, refresh: body.refreshToken || undefined, inCookie });
    } else if (response?.status === 401 && tokens().access === access) {
      forget();
      say("Your session is over. Log in again.");
    } // Else nothing is known: the next try is soon.
  }

  function adoptPersisted() {
    const persisted = tokens(JSON.parse(localStorage.getItem(storage) ?? "{}"));
    const here = tokens();
    const isOther = persisted.access !== here.access || persisted.refresh !== here.refresh;
    if (canRefresh(persisted) && isOther) authorize(persisted);
  }

  addEventListener("storage", (event) => {
    if (event.key !== storage || event.newValue === null) return;
    if (canRefresh(tokens(JSON.parse(event.newValue)))) adoptPersisted();
    else if (canRefresh(tokens())) forget();
  });

  let timer;
  function schedule() {
    clearTimeout(timer);
    const kept = tokens();
    if (!canRefresh(kept)) return;
    const seconds = Math.min(Math.max(freshFor(kept.access), 1), 3600);
    timer = setTimeout(freshen, seconds * 1000);
  }

  // A machine that slept wakes with old tokens: they are replaced before they are used.
  async function withFreshTokens(request) {
    const before = tokens();
    const carried = (name) => Object.keys(request.headers ?? {}).find((key) => key.toLowerCase() === name);
    const carriesAccess = before.access && carried("authorization") && request.headers[carried("authorization")].includes(before.access);
    if (!carriesAccess || !canRefresh(before) || freshFor(before.access) > 0) return request;
    await freshen();
    const { access, refresh } = tokens();
    if (!access) return request;
    request.headers[carried("authorization")] = `Bearer ${access}`;
    if (carried(refreshHeader)) request.headers[carried(refreshHeader)] = refresh;
    return request;
  }

  // ---- The steps at the top.

  const form = document.getElementById("login");
  const loggedIn = document.getElementById("logged-in");
  const message = document.getElementById("login-message");
  const status = document.getElementById("authorized");
  const hint = [...status.childNodes];

  function say(text) {
    message.textContent = text;
  }

  // What went wrong, in the words of the answer.
  async function complaint(response) {
    if (!response) return "The service does not answer.";
    const problem = await response.json().catch(() => null);
    return problem?.detail ?? `The service answered ${response.status}.`;
  }

  async function logIn(event) {
    event.preventDefault();
    say("");
    const button = form.querySelector("button");
    button.disabled = true;
    const credentials = { email: form.elements.email.value, password: form.elements.password.value };
    const response = await alone(() => open(JSON.stringify(credentials)));
    button.disabled = false;
    if (!response?.ok) return say(await complaint(response));
    const { accessToken, refreshToken } = await response.json();
    form.elements.password.value = samples.account?.password ?? "";
    take({ access: accessToken, refresh: refreshToken || undefined, inCookie: !refreshToken });
  }

  // In a cookie, unless the service is reached by another name than its own, where it gives no page one.
  async function open(body) {
    const request = { headers: { "Content-Type": "application/json" }, body };
    const response = await send("auth/login", { ...request, inCookie: true });
    const problem = response?.status === 403 ? await response.clone().json().catch(() => null) : null;
    return problem?.code === "csrf_check_failed" ? send("auth/login", request) : response;
  }

  async function logOut() {
    say("");
    await freshen();
    const { access, refresh, inCookie } = tokens();
    const headers = { ...(refresh && { "X-Refresh-Token": refresh }), ...(access && { Authorization: `Bearer ${access}` }) };
    const response = await alone(() => send(LOGOUT, { headers, inCookie }));
    // 401: the session was over already.
    if (response?.ok || response?.status === 401) forget();
    else say(await complaint(response));
  }

  function ready() {
    linkSteps();
    fillIn();
    authorize(tokens());
    form.addEventListener("submit", logIn);
    document.getElementById("log-out").addEventListener("click", logOut);
    ui.getStore().subscribe(show);
    show();
  }

  function fillIn() {
    for (const [name, value] of Object.entries(samples.account ?? {})) form.elements[name].value ||= value;
  }

  function linkSteps() {
    const paths = ui.specSelectors.specJson().get("paths").toJS();
    for (const link of document.querySelectorAll("[data-operation]")) {
      const [method, path] = link.dataset.operation.split(" ");
      const operation = paths[path]?.[method];
      const step = link.closest("li");
      step.hidden = !operation?.operationId;
      if (step.hidden) continue;
      const tag = operation.tags?.[0] ?? "default";
      link.href = `#/${encodeURIComponent(tag)}/${encodeURIComponent(operation.operationId)}`;
      link.addEventListener("click", () => {
        ui.layoutActions.updateFilter(""); // else a search may hide it
        ui.layoutActions.parseDeepLinkHash(decodeURIComponent(link.hash));
      });
    }
    const authorizeLink = document.querySelector("[data-authorize]");
    authorizeLink.href = "#/";
    authorizeLink.addEventListener("click", (event) => {
      event.preventDefault();
      ui.authActions.showDefinitions(ui.authSelectors.definitionsToAuthorize());
    });
  }

  let shown;
  function show() {
    const { access, refresh, inCookie } = tokens();
    const current = `${access} ${refresh} ${inCookie}`;
    if (current === shown) return;
    shown = current;
    const isIn = Boolean(access && (refresh || inCookie));
    form.hidden = isIn;
    loggedIn.hidden = !isIn;
    document.getElementById("sample-account").hidden = isIn || !samples.account;
    document.getElementById("login-heading").textContent = isIn ? "Logged in" : "Log in";
    if (isIn) say("");
    loggedIn.querySelector("output").textContent = claims(access ?? "").email ?? "with your tokens";
    const done = ui.authSelectors.authorized()?.size > 0;
    status.classList.toggle("done", done);
    const kept = inCookie
      ? "Done: requests below carry your access token, which a cookie keeps fresh."
      : isIn
        ? "Done: requests below carry your tokens, and this page keeps them fresh."
        : "Done: requests below carry what you gave.";
    status.replaceChildren(...(done ? [kept] : hint));
    schedule();
  }
})();
