"""A client of OAuth 2 (requests_oauthlib), driven by the interop tests: what it needs to
know it learns from the metadata (RFC 8414); the user is a browser that fills in the form.
The only argument is a JSON object. Each event is one line; the last line is "done"."""

import base64
import hashlib
import html.parser
import json
import secrets
import sys
import urllib.parse

import requests
from oauthlib.oauth2 import OAuth2Error
from requests_oauthlib import OAuth2Session

args = json.loads(sys.argv[1])
WAIT = 20


def say(*words):
    print(*words, flush=True)


def check(ok, *what):
    if not ok:
        raise AssertionError(" ".join(map(str, what)))


class Form(html.parser.HTMLParser):
    """The form of a page, with the values that a browser would send."""

    def __init__(self, page):
        super().__init__()
        self.action, self.method, self.values, self.select, self.button = None, "get", {}, None, None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if tag == "form":
            check(self.action is None, "two forms")
            self.action, self.method = a.get("action") or "", a.get("method", "get").lower()
        elif tag == "input" and "name" in a:
            if a.get("type") not in ("checkbox", "radio", "submit") or "checked" in a:
                self.values[a["name"]] = a.get("value") or ""
        elif tag == "button" and a.get("type", "submit") == "submit" and self.button is None:
            self.button = a  # the line end key presses the first one
            if "name" in a:
                self.values[a["name"]] = a.get("value") or ""
        elif tag == "select":
            self.select = a.get("name")
        elif tag == "option" and self.select is not None:
            if "selected" in a or self.select not in self.values:
                self.values[self.select] = a.get("value", "")

    def handle_endtag(self, tag):
        if tag == "select":
            self.select = None


def discover():
    answer = requests.get(args["metadata"], verify=args["ca"], timeout=WAIT)
    check(answer.status_code == 200, "metadata:", answer.status_code, answer.text)
    check(answer.headers["Content-Type"].startswith("application/json"), "metadata are", answer.headers["Content-Type"])
    data = answer.json()
    check(data["issuer"] == args["issuer"], "issuer", data["issuer"], "want", args["issuer"])
    below = requests.get(args["issuer"] + "/.well-known/oauth-authorization-server", verify=args["ca"], timeout=WAIT)
    check(below.status_code == 200 and below.json() == data, "below the issuer:", below.status_code, below.text)
    for name, path in args["endpoints"].items():
        check(data.get(name) == args["issuer"] + path, name, data.get(name), "want", args["issuer"] + path)
    check("code" in data["response_types_supported"], "no code:", data)
    check("S256" in data["code_challenge_methods_supported"], "no S256:", data)
    check({"authorization_code", "refresh_token"} <= set(data["grant_types_supported"]), "grants:", data)
    say("discovered")
    return data


def authorize(session, url, **options):
    """Goes to an address as a browser does, and returns where the answer leads."""
    browser = requests.Session()
    browser.verify, browser.trust_env = args["ca"], False  # else variables count more than verify
    page = browser.get(url, timeout=WAIT, allow_redirects=False)
    if page.status_code in (302, 303):
        return page.headers["Location"]
    check(page.status_code == 200, "the form:", page.status_code, page.text)
    check(page.headers["Content-Type"].startswith("text/html"), "the form is", page.headers["Content-Type"])
    framed = page.headers.get("X-Frame-Options", "") + page.headers.get("Content-Security-Policy", "")
    check("DENY" in framed.upper() or "frame-ancestors" in framed, "anybody may frame the form:", page.headers)
    form = Form(page.text)
    check(form.method == "post", "the form is sent by", form.method)
    check("password" in form.values and "username" in form.values, "the form has", form.values)
    form.values.update(username=args["user"], password=args["password"])
    form.values.update(options)
    answer = browser.post(urllib.parse.urljoin(page.url, form.action), data=form.values, timeout=WAIT,
                          headers={"Origin": "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(page.url))}, allow_redirects=False)
    if answer.status_code in (302, 303):
        return answer.headers["Location"]
    check(answer.status_code < 500, "the answer to the form:", answer.status_code, answer.text)
    return None


def begin(data, challenge=True):
    session = OAuth2Session(args["client_id"], redirect_uri=args["redirect"], scope=args["scope"])
    session.verifier, more = secrets.token_urlsafe(48), {}  # RFC 7636, section 4
    if challenge:
        digest = hashlib.sha256(session.verifier.encode()).digest()
        more = {"code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), "code_challenge_method": "S256"}
    url, state = session.authorization_url(data["authorization_endpoint"], **more)
    return session, url, state


def query(url):
    return {k: v[0] for k, v in urllib.parse.parse_qs(urllib.parse.urlsplit(url).query).items()}


def refused(what, error, f):
    try:
        f()
    except OAuth2Error as e:
        check(e.error == error, what, "is refused with", e.error, "want", error)
        return
    raise AssertionError(what + " works")


def fetch(data, code, verifier, session=None):
    """Exchanges a code for tokens; without the session that has asked for it, as a thief does."""
    session = session or OAuth2Session(args["client_id"], redirect_uri=args["redirect"], scope=args["scope"])
    return session.fetch_token(data["token_endpoint"], code=code, code_verifier=verifier, include_client_id=True, timeout=WAIT, verify=args["ca"])


def calls(token):
    """Returns the status of a call of the HTTP API."""
    return requests.post(args["api"], json={}, headers={"Authorization": "Bearer " + token}, verify=args["ca"], timeout=WAIT).status_code


def login(data):
    session, url, state = begin(data)
    check(authorize(session, url, password="wrong") is None, "a wrong password is taken")
    location = authorize(session, url)
    check(location is not None and location.startswith(args["redirect"]), "the answer leads to", location)
    check(query(location).get("state") == state, "the state is", query(location))
    if data.get("authorization_response_iss_parameter_supported"):  # RFC 9207
        check(query(location).get("iss") == data["issuer"], "iss is", query(location))
    return session, location


def pkce(data):
    """Nobody else can use a code, and nobody twice."""
    session, location = login(data)
    code = query(location)["code"]
    refused("a code with another verifier", "invalid_grant", lambda: fetch(data, code, "v" * 43))
    session, url, _ = begin(data, challenge=False)
    location = authorize(session, url)
    check(location is not None and query(location).get("error") == "invalid_request", "without a challenge:", location)
    session, location = login(data)
    code = query(location)["code"]
    token = fetch(data, code, session.verifier, session)
    refused("a code that was used", "invalid_grant", lambda: fetch(data, code, session.verifier))
    check(calls(token["access_token"]) == 401, "the token of a code that was used twice is good")
    say("pkce")


def main():
    data = discover()
    pkce(data)
    session, location = login(data)
    token = fetch(data, query(location)["code"], session.verifier, session)
    check(token["token_type"].lower() == "bearer", "token type", token["token_type"])
    check(token["expires_in"] > 0, "expires in", token["expires_in"])
    check(set(token["scope"]) == set(args["scope"].split()), "scope", token["scope"], "want", args["scope"])
    check(calls(token["access_token"]) == 200, "the API refuses the token")
    check(calls(token["access_token"][:-1]) == 401, "the API takes half a token")
    say("token")

    first = dict(token)
    token = session.refresh_token(data["token_endpoint"], client_id=args["client_id"], verify=args["ca"], timeout=WAIT)
    check(token["access_token"] != first["access_token"], "the same token once more")
    check(token["refresh_token"] != first["refresh_token"], "the same refresh token once more")
    check(calls(token["access_token"]) == 200, "the API refuses the new token")
    say("refreshed")
    say("access", token["access_token"])
    if sys.stdin.readline() == "":  # the test uses the token meanwhile
        raise SystemExit("the test is gone")

    about = requests.post(data["introspection_endpoint"], data={"token": token["access_token"], "client_id": args["client_id"]},
                          verify=args["ca"], timeout=WAIT)
    check(about.status_code == 200 and about.json()["active"] is True, "introspection:", about.status_code, about.text)
    check(about.json()["username"] == args["user"] and set(about.json()["scope"].split()) == set(args["scope"].split()), "introspection:", about.text)
    gone = requests.post(data["revocation_endpoint"], data={"token": token["refresh_token"], "client_id": args["client_id"]},
                         verify=args["ca"], timeout=WAIT)
    check(gone.status_code == 200, "revocation:", gone.status_code, gone.text)
    about = requests.post(data["introspection_endpoint"], data={"token": token["access_token"], "client_id": args["client_id"]},
                          verify=args["ca"], timeout=WAIT)
    check(about.json() == {"active": False}, "introspection of a revoked token:", about.text)
    check(calls(token["access_token"]) == 401, "the API takes a revoked token")
    refused("a revoked refresh token", "invalid_grant",
            lambda: session.refresh_token(data["token_endpoint"], refresh_token=token["refresh_token"], client_id=args["client_id"], verify=args["ca"], timeout=WAIT))
    say("revoked")
    say("done")


main()
