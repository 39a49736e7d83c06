package host

import (
	"context"
	"crypto/hmac"
	"crypto/x509"
	"errors"

	"github.com/tidewaiter/tidewaiter/internal/sasl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// SCRAMKeys returns the stored keys of a user for a hash: SHA-1, SHA-256 or
// SHA-512. With stanza.ErrNoAccount and stanza.ErrNotSupported it returns the
// iteration count of a new account; with stanza.ErrAccountDisabled the keys.
func (a *Accounts) SCRAMKeys(ctx context.Context, hash string, user stanza.JID) (stanza.SCRAMKeys, error) {
	none := stanza.SCRAMKeys{Iterations: sasl.DefaultIterations}
	acc, err := a.lookup(ctx, user)
	if err != nil {
		return none, err
	}
	keys, ok := acc.SCRAM[hash]
	switch {
	case !ok:
		return none, stanza.ErrNotSupported
	case acc.Disabled:
		return keys, stanza.ErrAccountDisabled
	}
	return keys, nil
}

// VerifyPassword returns nil if the password is right. It does the same work
// for a user that does not exist, and lets only as many calls work at a time as
// there are processors; with more than MaxWaiting waiting it returns ErrBusy.
// Other errors: stanza.ErrNoAccount, stanza.ErrNotAuthorized, and, once the
// password was right, stanza.ErrAccountDisabled.
func (a *Accounts) VerifyPassword(ctx context.Context, user stanza.JID, password string) error {
	acc, missing := a.lookup(ctx, user)
	if missing != nil && !errors.Is(missing, stanza.ErrNoAccount) {
		return missing
	}
	hash, stored := a.reference(user.Domain(), acc)
	var got stanza.SCRAMKeys
	var bad error
	err := a.work.do(ctx, func() {
		got, bad = sasl.DeriveKeys(hash, password, stored.Salt, stored.Iterations)
	})
	switch {
	case err != nil:
		return err
	case missing != nil:
		return missing
	case bad != nil || !hmac.Equal(got.StoredKey, stored.StoredKey):
		return stanza.ErrNotAuthorized
	case acc.Disabled:
		return stanza.ErrAccountDisabled
	}
	return nil
}

// reference returns the keys to check a password against: those of the
// configured hash, else any, else such that nothing matches.
func (a *Accounts) reference(domain string, acc Account) (hash string, k stanza.SCRAMKeys) {
	hash = sasl.SHA1
	switch a.settings.Load().AuthSCRAMHash.For(domain) {
	case "sha256":
		hash = sasl.SHA256
	case "sha512":
		hash = sasl.SHA512
	}
	if k, ok := acc.SCRAM[hash]; ok {
		return hash, k
	}
	for _, h := range scramHashes {
		if k, ok := acc.SCRAM[h]; ok {
			return h, k
		}
	}
	return hash, stanza.SCRAMKeys{Salt: a.madeUp, Iterations: sasl.DefaultIterations}
}

// VerifyCertificate lets a user with a matching certificate in if there is the
// account. Errors: stanza.ErrNoAccount, stanza.ErrAccountDisabled.
func (a *Accounts) VerifyCertificate(ctx context.Context, user stanza.JID, _ *x509.Certificate) error {
	acc, err := a.lookup(ctx, user)
	if err == nil && acc.Disabled {
		return stanza.ErrAccountDisabled
	}
	return err
}

// HA1 returns the digest of user:vhost:password for the hash MD5 or SHA-256.
// Errors: stanza.ErrNoAccount, stanza.ErrAccountDisabled, and
// stanza.ErrNotSupported for a password that was set while auth_password_format
// was scram.
func (a *Accounts) HA1(ctx context.Context, user stanza.JID, hash string) ([]byte, error) {
	acc, err := a.lookup(ctx, user)
	if err != nil {
		return nil, err
	}
	if acc.Disabled {
		return nil, stanza.ErrAccountDisabled
	}
	key := acc.HA1MD5
	switch hash {
	case "MD5":
	case "SHA-256":
		key = acc.HA1SHA256
	default:
		key = nil
	}
	if key == nil {
		return nil, stanza.ErrNotSupported
	}
	return key, nil
}
