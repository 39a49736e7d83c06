package host

import (
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// session is one bound resource.
type session struct {
	jid  stanza.JID
	sink stanza.Sink

	// state is nil until the first presence. It is read without mu.
	state atomic.Pointer[availability]

	mu       sync.Mutex
	directed map[stanza.JID]struct{} // who was sent directed presence
	ended    bool                    // then nothing changes any more
}

// availability is the last presence of a session without to, or the end of it.
type availability struct {
	presence *stanza.Stanza // as it goes to the other resources of the account
	priority int            // RFC 6121, section 4.7.2.3
}

func (a *availability) available() bool {
	return a != nil && a.presence.Type != stanza.TypeUnavailable
}

func (s *session) available() bool { return s.state.Load().available() }

// priority returns the presence priority; ok is false for a session that is
// not available or whose priority is negative: it gets no messages sent to the
// bare JID.
func (s *session) priority() (p int, ok bool) {
	a := s.state.Load()
	if !a.available() || a.priority < 0 {
		return 0, false
	}
	return a.priority, true
}

// table has the sessions of all accounts.
type table struct {
	seed   maphash.Seed
	shards [64]shard
}

type shard struct {
	mu    sync.RWMutex
	users map[stanza.JID][]*session // by bare JID, oldest first; slices are replaced, never changed
}

func newTable() *table {
	t := &table{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].users = make(map[stanza.JID][]*session)
	}
	return t
}

func (t *table) shard(bare stanza.JID) *shard {
	return &t.shards[maphash.String(t.seed, bare.String())%uint64(len(t.shards))]
}

// of returns the sessions of an account, oldest first. The slice must not be
// changed.
func (t *table) of(bare stanza.JID) []*session {
	s := t.shard(bare)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.users[bare]
}

// find returns the session that holds a full JID, nil when there is none.
func (t *table) find(full stanza.JID) *session {
	return byResource(t.of(full.Bare()), full)
}

func byResource(list []*session, full stanza.JID) *session {
	for _, s := range list {
		if s.jid == full {
			return s
		}
	}
	return nil
}

var (
	errTaken      = errors.New("resource is taken")
	errNoSessions = errors.New("no session is allowed")
)

// add enters a session. replace says that it takes the place of another one
// with its address; otherwise the error is errTaken. Of the sessions over limit
// (-1: none) the oldest leave. It returns those that left.
func (t *table) add(n *session, replace bool, limit int) (gone []*session, err error) {
	if limit == 0 {
		return nil, errNoSessions
	}
	bare := n.jid.Bare()
	sh := t.shard(bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	list := slices.Clone(sh.users[bare])
	if old := byResource(list, n.jid); old != nil {
		if !replace {
			return nil, errTaken
		}
		list = without(list, old)
		gone = append(gone, old)
	}
	if over := len(list) + 1 - limit; limit > 0 && over > 0 {
		gone = append(gone, list[:over]...)
		list = list[over:]
	}
	sh.users[bare] = append(list, n)
	return gone, nil
}

// remove takes out the session of a full JID if it belongs to sink.
func (t *table) remove(full stanza.JID, sink stanza.Sink) *session {
	bare := full.Bare()
	sh := t.shard(bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := byResource(sh.users[bare], full)
	if s == nil || s.sink != sink {
		return nil
	}
	if list := without(sh.users[bare], s); len(list) > 0 {
		sh.users[bare] = list
	} else {
		delete(sh.users, bare)
	}
	return s
}

// all returns every session for which pick holds.
func (t *table) all(pick func(*session) bool) []*session {
	var found []*session
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.RLock()
		for _, list := range sh.users {
			for _, s := range list {
				if pick(s) {
					found = append(found, s)
				}
			}
		}
		sh.mu.RUnlock()
	}
	return found
}

// without returns a new slice that lacks s.
func without(list []*session, s *session) []*session {
	out := make([]*session, 0, len(list))
	for _, o := range list {
		if o != s {
			out = append(out, o)
		}
	}
	return out
}
