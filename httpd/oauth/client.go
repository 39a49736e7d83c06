package oauth

import (
	"errors"
	"net/url"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// maxClientID bounds the ID of a client that is not registered, in bytes.
const maxClientID = 255

var errClient = failure{401, "invalid_client", "the client is not known, or its secret is wrong"}

// authenticate returns the client that a request is from, which proves it if it has a
// secret (RFC 6749, section 2.3). One that is not registered, where that is allowed, has
// its ID and nothing else; it can have none.
func (h *Handler) authenticate(r *request, f form) (stanza.OAuthClient, error) {
	id, secret, basic := r.BasicAuth()
	if basic {
		var errs [2]error
		id, errs[0] = url.QueryUnescape(id)
		secret, errs[1] = url.QueryUnescape(secret)
		other := f.get("client_id")
		if errors.Join(errs[:]...) != nil || f.get("client_secret") != "" || other != "" && other != id {
			return stanza.OAuthClient{}, failure{400, "invalid_request", "a client says in one way who it is"}
		}
	} else {
		id, secret = f.get("client_id"), f.get("client_secret")
	}
	check := r.options.ClientIDCheck.For(r.Info.Host)
	if check == checkDeny {
		return stanza.OAuthClient{}, errClient
	}
	var c stanza.OAuthClient
	err := error(stanza.ErrNotAuthorized)
	if id != "" {
		c, err = h.store.Client(r.Context(), id)
	}
	switch {
	case errors.Is(err, stanza.ErrNotAuthorized) && check == checkAllow && len(id) <= maxClientID:
		return stanza.OAuthClient{ID: id, Kind: stanza.OAuthPasswordClient}, nil
	case errors.Is(err, stanza.ErrNotAuthorized), err == nil && !c.Confidential && secret != "":
		return c, errClient
	case err != nil || !c.Confidential:
		return c, err
	}
	err = h.store.VerifyClient(r.Context(), id, secret)
	if errors.Is(err, stanza.ErrNotAuthorized) {
		return c, errClient
	}
	return c, err
}
