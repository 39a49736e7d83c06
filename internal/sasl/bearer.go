package sasl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// bearer is OAUTHBEARER (RFC 7628). The client hears in a challenge why it is refused,
// and says that it has understood; then the exchange fails.
type bearer struct {
	c      *Config
	reason *Failure // after the challenge
}

// refusal is what a client hears of a token that does not let it in (RFC 7628, section
// 3.2.2).
const refusal = `{"status":"invalid_token","scope":"sasl_auth"}`

func (b *bearer) step(ctx context.Context, msg []byte) ([]byte, stanza.JID, error) {
	switch {
	case b.reason != nil:
		return nil, stanza.JID{}, b.reason
	case msg == nil:
		return nil, stanza.JID{}, nil
	}
	authzid, token, err := parseBearer(string(msg))
	if err != nil {
		return nil, stanza.JID{}, fail(MalformedRequest, err)
	}
	user, err := b.verify(ctx, authzid, token)
	if err == nil {
		return nil, user, nil
	}
	f := hostFailure(err)
	if f.Condition != NotAuthorized {
		return nil, stanza.JID{}, f
	}
	b.reason = f
	return []byte(refusal), stanza.JID{}, nil
}

// verify returns the user of the stream's domain that a token lets in.
func (b *bearer) verify(ctx context.Context, authzid, token string) (stanza.JID, error) {
	var user stanza.JID
	if token == "" {
		return user, fail(NotAuthorized, errors.New("there is no token"))
	}
	if authzid == "" {
		owner, ok := b.c.Token.(TokenOwner)
		if !ok {
			return user, fail(NotAuthorized, errors.New("the client does not say who it is"))
		}
		var err error
		if user, _, err = owner.Token(ctx, token); err != nil {
			return user, err
		}
		user = user.Bare()
	} else {
		var err error
		if user, err = stanza.ParseJID(authzid); err != nil || !user.IsBare() {
			return user, fail(InvalidAuthzid, err)
		}
	}
	if user.Local() == "" || user.Domain() != b.c.Domain {
		return user, fail(NotAuthorized, fmt.Errorf("%q is no user of %q", user, b.c.Domain))
	}
	return user, b.c.verifyToken(ctx, user, token)
}

// kvsep separates what a client says (RFC 7628, section 3.1).
const kvsep = "\x01"

// parseBearer takes the client's message apart: gs2-header kvsep *kvpair kvsep. token is
// "" if there is none.
func parseBearer(msg string) (authzid, token string, err error) {
	header, rest, ok := strings.Cut(msg, kvsep)
	if !ok || !utf8.ValidString(msg) {
		return "", "", errors.New("message is no gs2-header with pairs")
	}
	if authzid, err = parseGS2(header); err != nil {
		return "", "", err
	}
	pairs, ok := strings.CutSuffix(kvsep+rest, kvsep+kvsep)
	if !ok {
		return "", "", errors.New("message does not end after its pairs")
	}
	seen := make(map[string]bool)
	for _, pair := range strings.Split(pairs, kvsep)[1:] {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || !isKey(key) || seen[key] || strings.ContainsFunc(value, isOdd) {
			return "", "", errors.New("message has a wrong pair")
		}
		seen[key] = true
		if key != "auth" {
			continue
		}
		scheme, credentials, _ := strings.Cut(value, " ")
		if !strings.EqualFold(scheme, "Bearer") && value != "" {
			return "", "", errors.New("the scheme is not Bearer")
		}
		token = strings.TrimSpace(credentials)
	}
	return authzid, token, nil
}

func isKey(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') })
}

// isOdd says what no value has.
func isOdd(c rune) bool {
	return (c < ' ' || c > '~') && c != '\t' && c != '\r' && c != '\n'
}

// parseGS2 returns the authorization identity of a header (RFC 5801, section 4), which
// binds no channel: n,a=NAME, or y,, in which NAME has =2C for a comma and =3D for an
// equals sign.
func parseGS2(header string) (authzid string, err error) {
	wrong := errors.New("message has a wrong gs2-header")
	flag, rest, ok := strings.Cut(header, ",")
	name, ok2 := strings.CutSuffix(rest, ",")
	if !ok || !ok2 || flag != "n" && flag != "y" || strings.Contains(name, ",") {
		return "", wrong
	}
	if name == "" {
		return "", nil
	}
	name, ok = strings.CutPrefix(name, "a=")
	if !ok || name == "" {
		return "", wrong
	}
	decoded := strings.NewReplacer("=2C", ",", "=3D", "=").Replace(name)
	if strings.Count(name, "=") != strings.Count(name, "=2C")+strings.Count(name, "=3D") {
		return "", wrong
	}
	return decoded, nil
}
