// Package oauth gives programs access to accounts without the users' passwords:
// ejabberd_oauth, an OAuth 2.0 authorization server (RFC 6749, RFC 9700) as a request
// handler of package httpd and of any program's own mux. Below the path that it is
// mounted at it has
//
//	authorization_token   the page on which users agree
//	token                 tokens for a code (with PKCE, RFC 7636), a refresh token or a password
//	revoke                the end of a token (RFC 7009)
//	introspect            what a token is (RFC 7662)
//	.well-known/oauth-authorization-server
//	                      where all this is (RFC 8414)
//
// The last is also at its proper place if the same Handler serves the path
// /.well-known/oauth-authorization-server: there the path of the mount follows. In
// another mux httpd.WithInfo tells the handler where it is mounted.
//
// It is written on the standard library: github.com/ory/fosite links 54 modules into a
// program that imports it, and github.com/go-oauth2/oauth2 takes addresses to redirect to
// whose host merely ends like the registered one, and keeps tokens as they are. What is
// needed here is less than what one of them would have to be held back from.
//
// # What is different from ejabberd
//
// Tokens of the old way (response_type=token) come in the fragment of the address, as
// RFC 6749 says, and not in its query, which servers log and browsers pass on. Answers
// go to registered addresses alone, also with oauth_client_id_check allow: that lets
// unknown clients use grant_type=password. After a wrong password the page comes again;
// the program does not hear of it. oauth_access is asked again at each refresh. Tokens
// are good for an hour (oauth_expire), unless a ttl was asked for, of at most ten years.
// A client that is refused gets JSON.
//
// New clients use codes (response_type=code): those are good for one minute and once, and
// need PKCE with S256. Each refresh token is good once; with the second use of a code or
// of a refresh token everything ends that has come of that login.
package oauth
