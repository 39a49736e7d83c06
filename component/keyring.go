package component

import (
	"sync"

	"github.com/tidewaiter/tidewaiter/internal/sasl"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// keyring has the keys of secrets for SCRAM, each made once. All have one salt:
// nothing is stored that it would protect, and it says nothing about the domain.
type keyring struct {
	salt     []byte
	spare    string // in the place of a secret that SCRAM cannot use
	mu       sync.Mutex
	bySecret map[string]stanza.SCRAMKeys // by hash and secret
}

func newKeyring(spare string) *keyring {
	return &keyring{salt: sasl.NewSalt(), spare: spare, bySecret: make(map[string]stanza.SCRAMKeys)}
}

// derive returns the keys of a secret. The work for one comes once: strangers cannot
// cause more of it than there are secrets.
func (k *keyring) derive(hash, secret string) (stanza.SCRAMKeys, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := hash + " " + secret
	if keys, ok := k.bySecret[name]; ok {
		return keys, nil
	}
	keys, err := sasl.DeriveKeys(hash, secret, k.salt, sasl.DefaultIterations)
	if err != nil { // its characters: a login by SCRAM then fails like any other
		keys, err = sasl.DeriveKeys(hash, k.spare, k.salt, sasl.DefaultIterations)
	}
	if err != nil {
		return keys, err
	}
	k.bySecret[name] = keys
	return keys, nil
}
