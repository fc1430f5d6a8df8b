// A real OpenID Connect provider (oidc-provider) for the tests, which can be told to misbehave: POST /test sets how.
// Its first line on standard output is its address. `sign in as NAME` is the whole of its login form.

import { createServer } from "node:http";
import { generateKeyPairSync, createHmac, createSign, createPublicKey } from "node:crypto";
import Provider from "oidc-provider";

const redirect = process.argv[2];
const home = process.argv[3];
const people = {
  ann: { preferred_username: "Ann", email: "ann@example.com", email_verified: true, groups: ["ops", "staff"] },
  bob: { preferred_username: "bob", email: "bob@example.com", email_verified: true, groups: ["staff"] },
  eve: { preferred_username: "eve", email: "eve@example.com", email_verified: true, groups: ["others"] },
  mal: { preferred_username: "mal", email: "mal@example.com", email_verified: false, groups: ["ops"] },
};
let how = {};

const key = (kid) => ({ ...generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" }), kid, use: "sig", alg: "RS256" });
let keys = [key("first")];

const server = createServer();
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const issuer = `http://127.0.0.1:${server.address().port}`;

function made() {
  const provider = new Provider(issuer, {
    clients: [
      { client_id: "tollhouse", client_secret: "a-secret-of-the-test", redirect_uris: [redirect], post_logout_redirect_uris: [home], grant_types: ["authorization_code"] },
      { client_id: "other", client_secret: "another", redirect_uris: [redirect], grant_types: ["authorization_code"] },
    ],
    jwks: { keys },
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email", "email_verified"] },
    pkce: { required: () => true },
    features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
    cookies: { keys: ["a-cookie-key-of-the-test"] },
  });
  provider.on("server_error", (_, error) => console.error(error));
  return provider.callback();
}
let answer = made();

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const decode = (text) => JSON.parse(Buffer.from(text, "base64url").toString());

/** The provider's token with other claims, signed by its own key or as an attacker would. */
function forged(token) {
  const [head, body] = token.split(".").slice(0, 2).map(decode);
  const claims = { ...body, ...how.claims };
  if (how.sign === "none") return `${encode({ ...head, alg: "none" })}.${encode(claims)}.`;
  if (how.sign === "shared") {
    const part = `${encode({ ...head, alg: "HS256" })}.${encode(claims)}`;
    const pem = createPublicKey({ key: keys[0], format: "jwk" }).export({ type: "spki", format: "pem" });
    return `${part}.${createHmac("sha256", pem).update(part).digest("base64url")}`;
  }
  const by = how.sign === "stranger" ? key("first") : keys[0];
  const part = `${encode({ ...head, kid: by.kid })}.${encode(claims)}`;
  return `${part}.${createSign("RSA-SHA256").update(part).sign({ key: by, format: "jwk" }).toString("base64url")}`;
}

function read(request) {
  return new Promise((done) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => done(Buffer.concat(parts).toString()));
  });
}

/** Lets the provider answer, and changes what it says of the token. */
function change(response) {
  const end = response.end.bind(response);
  const parts = [];
  response.write = (part) => (parts.push(Buffer.from(part)), true);
  response.end = (part) => {
    if (part) parts.push(Buffer.from(part));
    let text = Buffer.concat(parts).toString();
    try {
      const said = JSON.parse(text);
      if (said.id_token && (how.sign || how.claims)) said.id_token = forged(said.id_token);
      text = JSON.stringify(said);
    } catch {
      // An error page stays as it is.
    }
    response.setHeader("content-length", Buffer.byteLength(text));
    return end(text);
  };
}

server.on("request", async (request, response) => {
  if (request.url === "/test") {
    how = JSON.parse(await read(request));
    if (how.person) Object.assign(people[how.person.name], how.person);
    if (how.rotate) {
      keys = [key(how.rotate)];
      answer = made();
    }
    response.end("{}");
    return;
  }
  if (how.away) {
    response.statusCode = 503;
    response.end("away");
    return;
  }
  if (request.url.startsWith("/token")) change(response);
  answer(request, response);
});
console.log(issuer);
