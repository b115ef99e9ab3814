"use strict";

/* Shows openapi.json with Swagger UI, and sends the token of whoever is signed in (sign-in.js) along with what is tried. */

const RENEW_BEFORE_MS = 60_000;

const apiAddress = new URL(".", location.href).href.replace(/\/$/, "");
const signIn = signInOf(JSON.parse(document.getElementById("sign-in-settings").textContent));
let swagger = null;
let bearerSchemes = [];
let renewal = null;
let isAuthorized = false;

document.addEventListener("DOMContentLoaded", start);

async function start() {
  const refusal = await failureOf(finishSignIn);
  showSession(refusal);
  const failure = await failureOf(showApi);
  showSession(refusal ?? failure);
}

async function finishSignIn() {
  const session = await signIn.finish();
  if (session !== null) {
    sessions.keep(session);
  }
}

/** Does the work, then shows who is signed in, or else what went wrong. */
async function attempt(work) {
  showSession(await failureOf(work));
}

/** Does the work; what went wrong in words, or null. What nobody expects is on the console as well. */
async function failureOf(work) {
  try {
    await work();
    return null;
  } catch (error) {
    if (!(error instanceof SignInFailed)) {
      console.error(error);
    }
    return error.message;
  }
}

async function showApi() {
  const answer = await fetch("openapi.json");
  if (!answer.ok) {
    throw new Error(`openapi.json was answered ${answer.status}: there is nothing to show. Load the page again.`);
  }
  const spec = await answer.json();
  spec.servers = [{ url: apiAddress }]; // whatever the address is that this page was reached at
  leaveOptionalParametersEmpty(spec);
  const schemes = Object.entries(spec.components?.securitySchemes ?? {});
  bearerSchemes = schemes.filter(([, scheme]) => scheme.type === "http" && scheme.scheme === "bearer").map(([name]) => name);
  await new Promise((shown) => {
    swagger = SwaggerUIBundle({
      spec,
      domNode: document.getElementById("api"),
      presets: [SwaggerUIBundle.presets.apis],
      docExpansion: "list",
      defaultModelsExpandDepth: 0,
      displayRequestDuration: true,
      tryItOutEnabled: true,
      validatorUrl: null, // it would show the document to a third party
      requestInterceptor: withFreshToken,
      responseInterceptor: noticeRefusal,
      onComplete: shown,
    });
  });
}

/** Swagger UI fills in examples: every request would be for one version, and under one Idempotency-Key. */
function leaveOptionalParametersEmpty(spec) {
  const operations = Object.values(spec.paths).flatMap((path) => Object.values(path));
  const parameters = [...operations.flatMap((operation) => operation.parameters ?? []), ...Object.values(spec.components?.parameters ?? {})];
  for (const parameter of parameters.filter(({ required }) => !required)) {
    for (const described of [parameter, parameter.schema ?? {}]) {
      delete described.example;
      delete described.examples;
    }
  }
}

/** Renews a session that is about to end before its token is sent. A token that was pasted is left alone. */
async function withFreshToken(request) {
  const session = sessions.current();
  if (session === null || request.headers.Authorization !== `Bearer ${session.token}`) {
    return request;
  }
  if (session.ends - Date.now() < RENEW_BEFORE_MS) {
    renewal ??= signIn.renew(session).finally(() => (renewal = null)); // one for all requests that wait for it
    await attempt(async () => {
      const renewed = await renewal;
      request.headers.Authorization = `Bearer ${renewed.token}`;
      if (sessions.current()?.token === session.token) {
        sessions.keep(renewed); // whoever has signed out meanwhile stays so
      }
    });
  }
  return request;
}

function noticeRefusal(response) {
  if (response.status === 401 && sessions.current() !== null) {
    showStatus("The token was refused: sign out, then in again.", true);
  }
  return response;
}

function showSession(failure) {
  const session = sessions.current();
  showStatus(failure ?? (session ? `Signed in as ${session.name}` : signIn.hint), failure !== null);
  const buttons = session
    ? [buttonOf("Sign out", () => signOut(session))]
    : signIn.choices.map(({ label, begin }) => buttonOf(label, async () => sessions.keep(await begin())));
  document.getElementById("actions").replaceChildren(...buttons);
  authorize(session);
}

function showStatus(text, isFailure) {
  const status = document.getElementById("status");
  status.textContent = text;
  status.classList.toggle("failed", isFailure);
}

function buttonOf(label, work) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.addEventListener("click", () => attempt(work));
  return button;
}

/** Swagger UI sends the token with the operations that ask for one, and closes their locks. */
function authorize(session) {
  if (swagger === null) {
    return;
  }
  if (session !== null) {
    bearerSchemes.forEach((name) => swagger.preauthorizeApiKey(name, session.token));
  } else if (isAuthorized) {
    swagger.authActions.logout(bearerSchemes);
  }
  isAuthorized = session !== null;
}

async function signOut(session) {
  sessions.forget();
  await signIn.end(session);
}
