// A client of OAuth 2 (oauth4webapi), which checks all that the standards let it check.
// The only argument is a JSON object as py/oauth.py takes it.

import * as oauth from "oauth4webapi";
import { args, say, main } from "./web.mjs";

const client = { client_id: args.client_id };
const auth = oauth.None();

// field returns the value of an attribute of an HTML tag.
const field = (tag, name) => tag.match(new RegExp(`\\s${name}\\s*=\\s*"([^"]*)"`))?.[1].replaceAll("&amp;", "&").replaceAll("&#34;", '"').replaceAll("&#43;", "+");

// submit fills in the form of a page, and returns where the answer leads.
async function submit(url) {
  const page = await fetch(url, { redirect: "manual" });
  const html = await page.text();
  if (page.status !== 200) throw new Error(`the form: ${page.status} ${html}`);
  const values = new URLSearchParams();
  for (const [tag] of html.matchAll(/<input\b[^>]*>/g)) {
    if (field(tag, "name") && !["checkbox", "radio", "submit"].includes(field(tag, "type"))) values.set(field(tag, "name"), field(tag, "value") ?? "");
  }
  for (const [, select, options] of html.matchAll(/(<select\b[^>]*>)(.*?)<\/select>/gs)) {
    const list = [...options.matchAll(/<option\b[^>]*>/g)].map(([tag]) => tag);
    values.set(field(select, "name"), field(list.find((tag) => /\sselected\b/.test(tag)) ?? list[0], "value"));
  }
  values.set("username", args.user);
  values.set("password", args.password);
  const form = html.match(/<form\b[^>]*>/)[0];
  const headers = { Origin: new URL(url).origin };
  const cookies = page.headers.getSetCookie().map((c) => c.split(";")[0]);
  if (cookies.length > 0) headers.Cookie = cookies.join("; ");
  const answer = await fetch(new URL(field(form, "action") ?? "", url), { method: "POST", body: values, headers, redirect: "manual" });
  if (![302, 303].includes(answer.status)) throw new Error(`the answer to the form: ${answer.status} ${await answer.text()}`);
  return new URL(answer.headers.get("Location"));
}

main(async () => {
  const issuer = new URL(args.issuer);
  const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: "oauth2" }));
  say("discovered");

  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const url = new URL(server.authorization_endpoint);
  url.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: args.redirect,
    response_type: "code",
    scope: args.scope,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  const answer = oauth.validateAuthResponse(server, client, await submit(url), state);
  const response = await oauth.authorizationCodeGrantRequest(server, client, auth, answer, args.redirect, verifier);
  const token = await oauth.processAuthorizationCodeResponse(server, client, response);
  say("token", token.token_type, token.scope);

  const call = await oauth.protectedResourceRequest(token.access_token, "POST", new URL(args.api), new Headers({ "Content-Type": "application/json" }), "{}");
  if (call.status !== 200) throw new Error(`the API: ${call.status} ${await call.text()}`);
  const again = await oauth.processRefreshTokenResponse(server, client, await oauth.refreshTokenGrantRequest(server, client, auth, token.refresh_token));
  if (again.access_token === token.access_token) throw new Error("the same token once more");
  say("refreshed");

  await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, auth, again.refresh_token));
  let refused;
  try {
    refused = await oauth.protectedResourceRequest(again.access_token, "POST", new URL(args.api), new Headers({ "Content-Type": "application/json" }), "{}");
  } catch (e) {
    if (!(e instanceof oauth.WWWAuthenticateChallengeError)) throw e;
    refused = e.response;
  }
  if (refused.status !== 401) throw new Error(`the API with a revoked token: ${refused.status}`);
  say("revoked");
});
