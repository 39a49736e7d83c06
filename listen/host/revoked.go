package host

import (
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// MaxRevoked is how many accounts are remembered whose sessions were ended.
// With more, all logins that are under way at that moment have to start over.
const MaxRevoked = 10000

// revoked remembers when sessions of accounts were ended, so that a login that
// was under way then, with a password that has changed since, does not become a
// session after all.
type revoked struct {
	mu  sync.Mutex
	at  map[stanza.JID]time.Time // by bare JID
	all time.Time                // the same for those that are not in the map
}

// add notes that the sessions of an account end now.
func (r *revoked) add(bare stanza.JID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if _, known := r.at[bare]; !known && len(r.at) >= MaxRevoked {
		r.all = now
		clear(r.at)
	}
	if r.at == nil {
		r.at = make(map[stanza.JID]time.Time)
	}
	r.at[bare] = now
}

// has reports whether the sessions of an account were ended after a login
// began; since is zero if that is not known.
func (r *revoked) has(bare stanza.JID, since time.Time) bool {
	if since.IsZero() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return since.Before(r.all) || since.Before(r.at[bare])
}
