// Whether what the docs page says can be read: the contrast of all its text, in light and in dark.

import assert from "node:assert/strict";
import { ORIGIN, block, execute, inBrowser, logIn, loggedIn, open } from "./support.mjs";

/**
 * The texts on the page that stand out too little from what is behind them (WCAG 2.2, 1.4.3, AA): 4.5:1, and 3:1 for
 * text of 24 px, or of 18.66 px and bold. What cannot be used is exempt.
 */
const tooFaint = (page) =>
  page.evaluate(() => {
    // Whatever the notation of a colour, as bytes: an empty canvas has no colour of its own to mix in.
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const bytes = (color) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = color;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      return [r, g, b, a / 255];
    };
    const over = ([r, g, b, a], below) => [r, g, b].map((channel, i) => channel * a + below[i] * (1 - a));
    const behind = (element) => {
      const layers = [];
      for (let at = element; at; at = at.parentElement) {
        const layer = bytes(getComputedStyle(at).backgroundColor);
        layers.unshift(layer);
        if (layer[3] === 1) break;
      }
      return layers.reduce((below, layer) => over(layer, below), bytes("Canvas"));
    };
    const opacity = (element) => {
      let product = 1;
      for (let at = element; at; at = at.parentElement) product *= Number(getComputedStyle(at).opacity);
      return product;
    };
    const luminance = (color) => {
      const [r, g, b] = color.slice(0, 3).map((channel) => {
        const c = channel / 255;
        return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (a, b) => {
      const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
      return (light + 0.05) / (dark + 0.05);
    };

    const seen = [];
    const check = (element, said, color) => {
      const style = getComputedStyle(element);
      const size = parseFloat(style.fontSize);
      if (!said.trim() || size === 0 || !element.checkVisibility({ visibilityProperty: true })) return;
      if (element.closest(":disabled, [aria-disabled=true], .disabled, option, noscript")) return;
      const [r, g, b, a] = bytes(color ?? style.color);
      const background = behind(element);
      const ratio = contrast(over([r, g, b, a * opacity(element)], background), background);
      const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      seen.push({ ratio, needed: isLarge ? 3 : 4.5, said: said.trim().slice(0, 40), of: `${element.tagName}.${element.className}`, color: color ?? style.color, background: background.map(Math.round).join() });
    };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) check(texts.currentNode.parentElement, texts.currentNode.data);
    for (const field of document.querySelectorAll("input:not([type=checkbox]), textarea, select")) {
      check(field, field.value);
      if (field.placeholder && !field.value) check(field, field.placeholder, getComputedStyle(field, "::placeholder").color);
    }
    return { count: seen.length, faint: seen.filter(({ ratio, needed }) => ratio < needed) };
  });

/** Looks at a page as it is now, and adds its faint texts to the list. */
async function look(page, found, state, { atLeast }) {
  await page.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {}))));
  const { count, faint } = await tooFaint(page);
  assert.ok(count >= atLeast, `${state}: only ${count} texts were looked at`);
  for (const { ratio, said, of, color, background } of faint) {
    found.push(`${state}: ${ratio.toFixed(2)} ${JSON.stringify(said)} ${of} ${color} on ${background}`);
  }
}

for (const colorScheme of ["light", "dark"]) {
  inBrowser(
    `every text is readable in ${colorScheme}`,
    async (context) => {
      const found = [];
      const page = await open(context);
      await look(page, found, "as it opens", { atLeast: 150 });

      await page.getByLabel("E-mail").fill("nobody@example.com");
      await page.locator("#login").getByRole("button").click();
      await page.getByRole("alert").filter({ hasText: "password is wrong" }).waitFor();
      await look(page, found, "with a login that failed", { atLeast: 150 });
      await logIn(page);
      await loggedIn(page);

      await page.locator("[data-authorize]").click();
      await page.locator(".modal-ux").waitFor();
      await look(page, found, "with the tokens", { atLeast: 150 });
      await page.locator(".modal-ux .close-modal").click();

      assert.equal(await execute(page, "post", "/oauth2/token"), 200);
      assert.equal(await execute(page, "get", "/users"), 200);
      for (const [method, path] of [["patch", "/users/me"], ["delete", "/users/{id}"], ["post", "/auth/register"]]) {
        await block(page, method, path).locator(".opblock-summary-control").click();
        await block(page, method, path).locator(".execute").waitFor();
      }
      for (const fold of await block(page, "get", "/users").locator(".fold").all()) await fold.click();
      for (const fold of await page.locator(".opblock.is-open .headers-fold summary").all()) await fold.click();
      await look(page, found, "with operations open", { atLeast: 400 });

      // A required parameter that is missing.
      await block(page, "delete", "/users/{id}").locator(".execute").click();
      for (const tab of await page.locator(".opblock.is-open .tab button").filter({ hasText: "Schema" }).all()) await tab.click();
      for (const language of ["JavaScript", "Python"]) {
        await block(page, "post", "/oauth2/token").getByRole("button", { name: language, exact: true }).click();
        await look(page, found, `with schemas and ${language}`, { atLeast: 400 });
      }

      await page.locator("section.models .models-control, section.models h4 button").first().click();
      await page.locator("section.models .model-container").first().waitFor();
      await look(page, found, "with the models", { atLeast: 400 });

      await page.getByLabel("Search operations").fill("nothing has these words");
      await page.locator(".search [role=status]").filter({ hasText: "No operations" }).waitFor();
      await look(page, found, "with a search", { atLeast: 30 });
      assert.deepEqual(found, []);
    },
    { colorScheme, viewport: { width: 1280, height: 800 } },
  );
}

inBrowser("every text of the other documents is readable in the dark", async (context) => {
  const found = [];
  for (const name of ["nest.json", "access-tokens.json"]) {
    const page = await open(context, ORIGIN, `/docs?document=${name}`);
    await page.locator(".opblock-post .opblock-summary-control").first().click();
    await page.locator(".execute").first().waitFor();
    await look(page, found, name, { atLeast: 60 });
  }
  assert.deepEqual(found, []);
}, { colorScheme: "dark" });
