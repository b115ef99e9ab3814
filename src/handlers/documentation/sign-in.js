"use strict";

/*
 * The ways to sign in on this page. Each has
 *   choices      what a person may click: { label, begin() }, where begin() gives a session or leaves the page
 *   finish()     the session that a login elsewhere has just sent back to this page, or null
 *   renew(s)     a session in place of one that is about to end
 *   end(s)       what there is to do beyond forgetting a session
 * A session is { name, token, ends, refresh }: the bearer token, when it ends (milliseconds of the clock), and what renews it.
 */

class SignInFailed extends Error {}

/** Where the session is kept: in this tab alone, and no longer than it is open. */
const sessions = {
  key: "k9.session",

  current() {
    const kept = sessionStorage.getItem(this.key);
    return kept === null ? null : JSON.parse(kept);
  },

  keep(session) {
    sessionStorage.setItem(this.key, JSON.stringify(session));
  },

  forget() {
    sessionStorage.removeItem(this.key);
  },
};

/** No login is known here: a token is pasted into Swagger UI's own "Authorize". */
class NoSignIn {
  choices = [];
  hint = "Paste a bearer token under “Authorize” to try the routes.";

  async finish() {
    return null;
  }
}

/** The demo users of a laptop, whom its gateway signs in at a click. */
class LocalSignIn {
  constructor(names) {
    this.choices = names.map((name) => ({ label: `Sign in as ${name}`, begin: () => this.signIn(name) }));
    this.hint = "Nobody is signed in.";
  }

  async finish() {
    return null;
  }

  async signIn(name) {
    const answer = await fetch(`docs/sign-in/${encodeURIComponent(name)}`, { method: "POST" });
    const { token, expires_in: seconds } = await contentOf(answer);
    return { name, token, ends: Date.now() + seconds * 1000, refresh: null };
  }

  renew(session) {
    return this.signIn(session.name);
  }

  async end() {}
}

/** Cognito's hosted login: an authorization code with a proof of who asked for it (RFC 6749, RFC 7636). */
class HostedSignIn {
  constructor({ url, client_id: client, page, token }) {
    this.url = url;
    this.client = client;
    this.page = page ?? location.origin + location.pathname;
    this.kind = token;
    this.hint = "Nobody is signed in.";
    const isHere = this.page === location.origin + location.pathname;
    // The login sends people back to that one address, and what is kept here cannot be read there.
    this.choices = [{ label: "Sign in", begin: () => (isHere ? this.leave() : this.leaveTo(this.page)) }];
  }

  async leave() {
    const state = randomText();
    const verifier = randomText();
    sessionStorage.setItem(HostedSignIn.attempt, JSON.stringify({ state, verifier }));
    const query = {
      response_type: "code",
      client_id: this.client,
      redirect_uri: this.page,
      scope: "openid email profile",
      state,
      code_challenge_method: "S256",
      code_challenge: base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))),
    };
    return this.leaveTo(`${this.url}/oauth2/authorize?${new URLSearchParams(query)}`);
  }

  leaveTo(address) {
    location.assign(address);
    return new Promise(() => {}); // the page is on its way out
  }

  async finish() {
    this.tellWhatIsLeft();
    const query = new URLSearchParams(location.search);
    if (!query.has("code") && !query.has("error")) {
      return null;
    }
    history.replaceState(null, "", location.pathname + location.hash);
    const attempt = JSON.parse(sessionStorage.getItem(HostedSignIn.attempt));
    sessionStorage.removeItem(HostedSignIn.attempt); // an answer counts once
    if (attempt !== null && query.has("error") && !query.has("state")) {
      // Of a client that is not set up for this, the login gives no state back. A code alone: anybody may have written the rest.
      throw new SignInFailed(`The login refused the sign-in: ${/^[a-z_]{1,40}$/.exec(query.get("error")) ?? "it says not why"}`);
    }
    if (attempt === null || query.get("state") !== attempt.state) {
      throw new SignInFailed("This sign-in was not begun in this tab. Sign in again.");
    }
    if (query.has("error")) {
      throw new SignInFailed(`The login says: ${query.get("error_description") ?? query.get("error")}`);
    }
    return this.exchange({
      grant_type: "authorization_code",
      code: query.get("code"),
      redirect_uri: this.page,
      code_verifier: attempt.verifier,
    });
  }

  renew(session) {
    return this.exchange({ grant_type: "refresh_token", refresh_token: session.refresh }, session.refresh);
  }

  /** `refresh` is the refresh token so far, which an answer replaces or leaves out. */
  async exchange(form, refresh = null) {
    const tokens = await contentOf(await this.post("token", form));
    return {
      name: nameIn(tokens.id_token),
      token: tokens[this.kind],
      ends: Date.now() + tokens.expires_in * 1000,
      refresh: tokens.refresh_token ?? refresh,
    };
  }

  /** Ends the refresh token, and in any case the login's own memory of who is there: else the next one to click would be them. */
  async end(session) {
    const failure = await this.revoke(session.refresh);
    if (failure !== null) {
      sessionStorage.setItem(HostedSignIn.left, failure);
    }
    return this.leaveTo(`${this.url}/logout?${new URLSearchParams({ client_id: this.client, logout_uri: this.page })}`);
  }

  /** Null, or why the refresh token may go on. */
  async revoke(token) {
    try {
      const answer = await this.post("revoke", { token });
      return answer.ok ? null : `it answered ${answer.status}`;
    } catch (error) {
      return error.message;
    }
  }

  /** Throws SignInFailed after a sign-out that was not whole. */
  tellWhatIsLeft() {
    const failure = sessionStorage.getItem(HostedSignIn.left);
    sessionStorage.removeItem(HostedSignIn.left);
    if (failure !== null) {
      throw new SignInFailed(`You are signed out, but the login did not confirm that the refresh token has ended: ${failure}`);
    }
  }

  post(what, form) {
    return fetch(`${this.url}/oauth2/${what}`, {
      method: "POST",
      body: new URLSearchParams({ ...form, client_id: this.client }),
      credentials: "omit",
    });
  }
}
HostedSignIn.attempt = "k9.sign-in";
HostedSignIn.left = "k9.sign-out";

function signInOf(settings) {
  switch (settings.kind) {
    case "local":
      return new LocalSignIn(settings.names);
    case "hosted":
      return new HostedSignIn(settings);
    default:
      return new NoSignIn();
  }
}

/** The JSON of an answer. Throws SignInFailed, with what the answer says, where it is not a success. */
async function contentOf(answer) {
  const text = await answer.text();
  if (!answer.ok) {
    throw new SignInFailed(`The sign-in was answered ${answer.status}: ${reasonIn(text)}`);
  }
  return JSON.parse(text);
}

/** What a problem document, or an error of OAuth (RFC 6749, section 5.2), says; any other text as it is. */
function reasonIn(text) {
  try {
    const { detail, error_description: description, error } = JSON.parse(text);
    return detail ?? description ?? error ?? text;
  } catch (error) {
    if (error instanceof SyntaxError) {
      return text;
    }
    throw error;
  }
}

/** Whom an id token is about, for display: nobody relies on it here. */
function nameIn(token) {
  const bytes = Uint8Array.from(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const claims = JSON.parse(new TextDecoder().decode(bytes));
  return claims.email ?? claims.name ?? claims["cognito:username"];
}

/** 256 random bits: 43 characters, as many as a verifier must have (RFC 7636, section 4.1). */
function randomText() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

function base64url(bytes) {
  const text = String.fromCharCode(...new Uint8Array(bytes));
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
