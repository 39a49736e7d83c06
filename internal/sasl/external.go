package sasl

import (
	"context"
	"errors"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// external is EXTERNAL (RFC 4422, appendix A): the message is the authorization
// identity, empty to take the one of the certificate.
func (c *Config) external(ctx context.Context, msg []byte) ([]byte, stanza.JID, error) {
	if msg == nil {
		return nil, stanza.JID{}, nil
	}
	var authzid stanza.JID
	if len(msg) > 0 {
		var err error
		if authzid, err = stanza.ParseJID(string(msg)); err != nil {
			return nil, stanza.JID{}, fail(InvalidAuthzid, err)
		}
		if !authzid.IsBare() {
			return nil, stanza.JID{}, fail(InvalidAuthzid, errors.New("authorization identity has a resource"))
		}
	}
	user, err := c.External(ctx, authzid)
	if err != nil {
		return nil, stanza.JID{}, hostFailure(err)
	}
	if user.IsZero() {
		return nil, stanza.JID{}, fail(NotAuthorized, errors.New("certificate names nobody"))
	}
	return nil, user, nil
}

// maxTrace is the most bytes of ANONYMOUS's trace information: 255 characters
// (RFC 4505, section 2).
const maxTrace = 255 * 4

// anonymous is ANONYMOUS. What the client says of itself is ignored. Clients
// often send no initial response for an empty one, so that is the same here.
func (c *Config) anonymous(ctx context.Context, msg []byte) ([]byte, stanza.JID, error) {
	if len(msg) > maxTrace {
		return nil, stanza.JID{}, fail(MalformedRequest, errors.New("trace information is too long"))
	}
	user, err := c.Anonymous.Anonymous(ctx, c.Domain)
	if err != nil {
		return nil, stanza.JID{}, hostFailure(err)
	}
	if user.IsZero() {
		return nil, stanza.JID{}, fail(TemporaryAuthFailure, errors.New("host gave no address"))
	}
	return nil, user, nil
}
