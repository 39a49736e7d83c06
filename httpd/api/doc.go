// Package api is the request handler mod_http_api: programs run commands by HTTP and
// JSON, as clients of ejabberd do.
//
//	curl -d '{"host": "localhost"}' -u admin@localhost http://127.0.0.1:5280/api/registered_users
//	curl 'http://127.0.0.1:5280/api/registered_users/v1?host=localhost'
//
// The first segment of the path below the handler's is the command. The arguments are
// the members of an object that is posted, in any order, or the parameters of a GET. The
// last segment vN, also in the path of the handler, asks for a version of the API;
// without one Options.DefaultVersion counts. A list may be left out; a scalar stands for a
// list of one, an object for a list of pairs. GET openapi.json returns a description of
// the commands that the caller may run (OpenAPI 3.1), as far as that does not depend on a
// virtual host.
//
// The answer to a successful call is the value alone: a number (of a command that says
// only whether it was successful 0 or 1, with status 200), a text, a sorted list, an
// object. Of what went wrong it is a text or {"status": "error", "code": …, "message": …}:
//
//	400 bad arguments (40: no command)   401 wrong credentials (10), not allowed by the command
//	403 not permitted (32)               404 no such command (44), nothing found
//	409 a conflict, such as 10090        413 a body of more than 1 MiB
//	500 an error of the server           503 accounts cannot be asked now
//
// # Who may
//
// Callers have an account (Authorization: Basic, whose user is an address; Bearer, an
// OAuth token) or none; wrong credentials are an error. acl.Permissions decide what they
// may run, by account, address, and tag of the listener. Commands with the tag internal
// nobody may.
//
// Every page on the web may read answers, as with ejabberd: there are no cookies. But a
// browser would carry its user's address, and a password that it has kept, to wherever a
// page sends it. So of requests that may be those of a page of another site
//   - those without credentials may do nothing that is permitted only because of the
//     address or the tag of the listener, which may be there for this machine alone, and
//     nothing that is forbidden because of the address;
//   - those with Basic have to be a POST with the Content-Type application/json, for
//     which a browser asks first and then sends no password that it has kept; and
//   - those with a token are as all others.
//
// Such requests have an Origin other than the server, or Sec-Fetch-Site: cross-site or
// same-site, or in Host another name than an address, localhost and the virtual host (a
// name that others can point at this machine). Where a browser sends neither Origin nor
// Sec-Fetch-Site, in a GET without TLS to another machine, all of it counts as such.
// Programs other than browsers are not concerned.
package api
