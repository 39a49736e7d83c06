package host

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/listen/command"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// maxTTL is the longest time that a token can be asked for: ten years.
const maxTTL = 315_360_000

// maxListed is how many tokens oauth_list_tokens lists.
const maxListed = 10_000

// oauthCommands are those about tokens and those who get them.
func (h *Host) oauthCommands() []command.Command {
	id := textField("client_id", "the name by which the client says who it is")
	name := textField("client_name", "what users are told of it")
	return slices.Concat(h.tokenCommands(), []command.Command{{
		Name: "oauth_add_client_password", Tags: []string{"oauth"},
		Description: "Registers a client that gets tokens for the passwords which users tell it. It has a secret.",
		Args:        []command.Field{id, name, textField("secret", "")},
		Result:      resultField(),
		Run: func(ctx context.Context, a command.Args) (any, error) {
			return h.addClient(ctx, a, stanza.OAuthPasswordClient, a.Text("secret"))
		},
	}, {
		Name: "oauth_add_client_implicit", Tags: []string{"oauth"},
		Description: "Registers a client, an old one, that gets tokens at an address in the user's browser. " +
			"They are in the fragment of the address.",
		Args:   []command.Field{id, name, textField("redirect_uri", "the address, which has to be exactly this")},
		Result: resultField(),
		Run: func(ctx context.Context, a command.Args) (any, error) {
			return h.addClient(ctx, a, stanza.OAuthImplicitClient, "", a.Text("redirect_uri"))
		},
	}, {
		Name: "oauth_add_client_code", Tags: []string{"oauth"},
		Description: "Registers a client that gets tokens for a code, with a proof that it is the one who has asked (PKCE): " +
			"an app or a page, which can keep no secret.",
		Args:   []command.Field{id, name, textsField("redirect_uris", "redirect_uri", "the addresses that codes may go to, each exactly")},
		Result: resultField(),
		Run: func(ctx context.Context, a command.Args) (any, error) {
			return h.addClient(ctx, a, stanza.OAuthCodeClient, "", a.Texts("redirect_uris")...)
		},
	}, {
		Name: "oauth_remove_client", Tags: []string{"oauth"},
		Description: "Makes a client unknown, and ends its tokens.",
		Args:        []command.Field{id},
		Result:      resultField(),
		Run:         h.removeClient,
	}})
}

func resultField() command.Field { return command.Field{Name: "res", Type: command.ResTuple} }

// tokenCommands are those about tokens.
func (h *Host) tokenCommands() []command.Command {
	jid := textField("jid", "the account")
	ttl := numberField("ttl", "how many seconds the token is good for")
	expires := textField("expires_in", "such as 3600 seconds")
	issued := func(scopes command.Field) command.Field {
		return command.Field{Name: "result", Type: command.Tuple{textField("token", ""), scopes, expires}}
	}
	scope, scopes := textField("scopes", "separated by semicolons"), textsField("scopes", "scope", "")
	about := "Makes a token for an account, which oauth_access has to allow. What it is good for: " +
		"sasl_auth is to log in, ejabberd:user, ejabberd:admin and names of commands are what api_permissions say of them."
	return []command.Command{{
		Name: "oauth_issue_token", Tags: []string{"oauth"}, Description: about,
		Args: []command.Field{jid, ttl, scope}, Result: issued(scope),
		Run: func(ctx context.Context, a command.Args) (any, error) {
			r, list, err := h.issueToken(ctx, a, strings.Split(a.Text("scopes"), ";"))
			r["scopes"] = strings.Join(list, ";")
			return r, err
		},
	}, {
		Name: "oauth_issue_token", Since: 1, Tags: []string{"oauth"}, Description: about,
		Args: []command.Field{jid, ttl, scopes}, Result: issued(scopes),
		Run: func(ctx context.Context, a command.Args) (any, error) {
			r, list, err := h.issueToken(ctx, a, a.Texts("scopes"))
			r["scopes"] = list
			return r, err
		},
	}, {
		Name: "oauth_list_tokens", Tags: []string{"oauth"},
		Description: "The access tokens, each by a name that oauth_revoke_token knows: tokens themselves are not stored.",
		Result: tuplesField("tokens", "token", command.Tuple{
			textField("token", "the name"), textField("user", ""), textField("scope", ""), expires,
		}),
		Run: h.listTokens,
	}, {
		Name: "oauth_revoke_token", Tags: []string{"oauth"},
		Description: "Ends a token, and all that belong to the same login by OAuth. Sessions go on.",
		Args:        []command.Field{textField("token", "the token, or the name that oauth_list_tokens has for it")},
		Result:      resultField(),
		Run:         h.revokeToken,
	}}
}

// issueToken runs oauth_issue_token, but for the scopes of its result.
func (h *Host) issueToken(ctx context.Context, a command.Args, scopes []string) (r command.Args, list []string, err error) {
	r = make(command.Args)
	for _, s := range scopes {
		if s = strings.TrimSpace(s); s != "" && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	ttl := a.Int("ttl")
	user, err := stanza.ParseJID(a.Text("jid"))
	switch {
	case err != nil || user.Local() == "":
		return r, nil, &command.Error{Kind: command.BadArgument, Arg: "jid", Text: "jid is no address of an account", Err: err}
	case ttl <= 0 || ttl > maxTTL:
		return r, nil, &command.Error{Kind: command.BadArgument, Arg: "ttl", Text: fmt.Sprintf("ttl is not 1 to %d", maxTTL)}
	case len(list) == 0 || slices.ContainsFunc(list, func(s string) bool { return !stanza.IsOAuthScope(s) }):
		return r, nil, &command.Error{Kind: command.BadArgument, Arg: "scopes", Text: "scopes are none, or no names"}
	}
	access := h.Accounts.settings.Load().OAuthAccess.For(user.Domain())
	if access == nil || !access.Allow(acl.Subject{User: user.Local(), Server: user.Domain(), Host: user.Domain()}) {
		return r, nil, command.Errorf(command.NotAllowed, "oauth_access does not let %s have tokens", user.Bare())
	}
	now := time.Now()
	token, err := h.Tokens.Issue(ctx, stanza.OAuthToken{
		Kind: stanza.OAuthAccess, User: user, Scopes: strings.Join(list, " "),
		Issued: now, Expires: now.Add(time.Duration(ttl) * time.Second),
	})
	switch {
	case errors.Is(err, stanza.ErrNoAccount):
		return r, nil, command.Errorf(command.NotFound, "there is no account %s", user.Bare())
	case errors.Is(err, stanza.ErrAccountDisabled):
		return r, nil, command.Errorf(command.NotAllowed, "the account %s is disabled", user.Bare())
	case err != nil:
		return r, nil, err
	}
	r["token"], r["expires_in"] = token, seconds(time.Duration(ttl)*time.Second)
	return r, list, nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%d seconds", int64(d.Seconds())) }

// listTokens runs oauth_list_tokens.
func (h *Host) listTokens(ctx context.Context, _ command.Args) (any, error) {
	list := []command.Args{}
	now := time.Now()
	err := h.Tokens.eachGrant(ctx, func(g Grant) error {
		for _, s := range g.Access {
			if !s.Expires.After(now) {
				continue
			}
			if len(list) == maxListed {
				return command.Errorf(command.Conflict, "there are more than %d tokens", maxListed)
			}
			list = append(list, command.Args{
				"token": grantName(g.ID), "user": g.User.String(), "scope": s.Scopes, "expires_in": seconds(s.Expires.Sub(now)),
			})
		}
		return nil
	})
	return list, err
}

// grantName is how people call a grant.
func grantName(id GrantID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// parseGrantName returns false for anything else.
func parseGrantName(s string) (id GrantID, ok bool) {
	b, err := tokenCoding.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, false
	}
	return GrantID(b), true
}

// revokeToken runs oauth_revoke_token.
func (h *Host) revokeToken(ctx context.Context, a command.Args) (any, error) {
	token := a.Text("token")
	id, ok := parseGrantName(token)
	if !ok {
		p, isToken := parseToken(token)
		if _, err := h.Tokens.Find(ctx, token); err != nil && !errors.Is(err, stanza.ErrNotAuthorized) {
			return nil, err
		} else if err != nil || !isToken {
			return nil, command.Errorf(command.NotFound, "there is no such token, or no longer")
		}
		id = p.id
	}
	switch _, err := h.Tokens.grants.Get(ctx, id); {
	case errors.Is(err, ErrNoGrant):
		return nil, command.Errorf(command.NotFound, "there is no such token, or no longer")
	case err != nil:
		return nil, err
	}
	return "Token revoked", h.Tokens.end(ctx, id)
}

// addClient runs the commands that register clients.
func (h *Host) addClient(ctx context.Context, a command.Args, k stanza.OAuthClientKind, secret string, redirects ...string) (any, error) {
	c := stanza.OAuthClient{ID: a.Text("client_id"), Name: a.Text("client_name"), Kind: k, Redirects: redirects}
	err := h.Tokens.SetClient(ctx, c, secret)
	if refused, ok := errors.AsType[*stanza.Error](err); ok && refused.Condition == stanza.NotAcceptable {
		return nil, command.Errorf(command.BadArgument, "this client cannot be: %s", refused.Text)
	}
	return fmt.Sprintf("Client %s registered", c.ID), err
}

// removeClient runs oauth_remove_client.
func (h *Host) removeClient(ctx context.Context, a command.Args) (any, error) {
	id := a.Text("client_id")
	err := h.Tokens.RemoveClient(ctx, id)
	if errors.Is(err, ErrNoClient) {
		return nil, command.Errorf(command.NotFound, "there is no client %.100q", id)
	}
	return "Client removed", err
}
