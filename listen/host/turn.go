package host

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/host/features/extdisco"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// TURN knows the users of relays: those with an account, and those with credentials
// that external service discovery has given them.
type TURN struct {
	accounts *Accounts
	services *extdisco.Service
	log      *slog.Logger

	mu   sync.Mutex
	told map[string]bool // the served domains whose users were refused
}

// HA1 returns the digest of user:realm:password for the hash MD5 or SHA-256: the key
// of the long-term credential mechanism (RFC 8489, section 9.2.2), with the name and
// the realm as the client has sent them. The realm is that of the listener: a served
// domain.
//
// stanza.ErrNoAccount says that there is no such user, that his credentials have
// expired, or that an account is none for TURN: it is disabled, or its password was
// set while auth_password_format was scram, so that there is no digest of it. The
// last is logged as a warning, once for each domain. Other errors are temporary.
func (t *TURN) HA1(ctx context.Context, user, realm, hash string) ([]byte, error) {
	if password, ok := t.services.Password(realm, user); ok {
		return digest(user+":"+realm+":"+password, hash)
	}
	// With another spelling the digest that is stored is not that of the client.
	j, err := stanza.NewJID(user, realm, "")
	if err != nil || j.Local() != user || j.Domain() != realm {
		return nil, stanza.ErrNoAccount
	}
	key, err := t.accounts.HA1(ctx, j, hash)
	switch {
	case errors.Is(err, stanza.ErrNotSupported):
		t.tell(ctx, j)
		return nil, stanza.ErrNoAccount
	case errors.Is(err, stanza.ErrAccountDisabled):
		return nil, stanza.ErrNoAccount
	}
	return key, err
}

// tell warns of the first user of a domain who is refused for want of a digest.
func (t *TURN) tell(ctx context.Context, user stanza.JID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told[user.Domain()] {
		return
	}
	if t.told == nil {
		t.told = make(map[string]bool)
	}
	t.told[user.Domain()] = true
	t.log.WarnContext(ctx, "TURN users are refused whose passwords were set with auth_password_format scram; "+
		"set it to plain and their passwords again, or list mod_stun_disco, whose credentials need no account",
		"host", user.Domain(), "user", user)
}

func digest(text, hash string) ([]byte, error) {
	switch hash {
	case "MD5":
		key := md5.Sum([]byte(text))
		return key[:], nil
	case "SHA-256":
		key := sha256.Sum256([]byte(text))
		return key[:], nil
	}
	return nil, stanza.ErrNoAccount
}
