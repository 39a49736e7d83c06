package sasl

import (
	"bytes"
	"context"
	"errors"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// plain is PLAIN (RFC 4616), and X-OAUTH2, which has a token in the place of
// the password.
type plain struct {
	verify func(ctx context.Context, user stanza.JID, secret string) error
	user   func(name string) (stanza.JID, error)
}

func (p plain) step(ctx context.Context, msg []byte) ([]byte, stanza.JID, error) {
	if msg == nil {
		return nil, stanza.JID{}, nil
	}
	parts := bytes.Split(msg, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 || len(parts[2]) == 0 || !utf8.Valid(msg) {
		return nil, stanza.JID{}, fail(MalformedRequest, errors.New("message is not [authzid] NUL authcid NUL passwd"))
	}
	user, err := p.user(string(parts[1]))
	if err != nil {
		return nil, stanza.JID{}, err
	}
	if err := authorize(string(parts[0]), user); err != nil {
		return nil, stanza.JID{}, err
	}
	if err := p.verify(ctx, user, string(parts[2])); err != nil {
		return nil, stanza.JID{}, hostFailure(err)
	}
	return nil, user, nil
}
