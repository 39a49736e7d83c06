package host

import (
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// table has the sessions of all accounts.
type table struct {
	seed   maphash.Seed
	shards [64]shard

	carbons  atomic.Int64  // how many sessions want carbons
	blocking atomic.Int64  // how many accounts with sessions block somebody
	size     atomic.Int64  // how many sessions there are
	clock    atomic.Uint64 // orders directed presence and what ends its effect
}

type shard struct {
	mu       sync.RWMutex
	accounts map[stanza.JID]*account // by bare JID; those with sessions
	coming   map[stanza.JID]*coming  // by bare JID; whose list is being read for the first session
}

// account is what an account has while it has sessions.
type account struct {
	sessions []*session // oldest first; replaced, never changed; the shard's mu guards it
	blocks   atomic.Pointer[blocker]
	shared   shared
	storing  sync.RWMutex // for writing: while what a session has is stored, nothing else is
}

// blocker tells whether an account blocks a peer.
type blocker func(peer stanza.JID) bool

func newTable() *table {
	t := &table{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].accounts = make(map[stanza.JID]*account)
		t.shards[i].coming = make(map[stanza.JID]*coming)
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
	if a := s.accounts[bare]; a != nil {
		return a.sessions
	}
	return nil
}

// find returns the session that holds a full JID, nil when there is none.
func (t *table) find(full stanza.JID) *session {
	return byResource(t.of(full.Bare()), full)
}

// session returns the session that is described, nil if it has left the table;
// another one of its JID may be there.
func (t *table) session(info stanza.SessionInfo) *session {
	if s := t.find(info.JID); s != nil && s.sink == info.Sink {
		return s
	}
	return nil
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
	errNotRead    = errors.New("whom the account blocks has not been read")
)

// add enters a session. replace says that it takes the place of another one
// with its address; otherwise the error is errTaken. Of the sessions over limit
// (-1: none) the oldest leave. It returns those that left. For the first session
// of an account b says whom that blocks; without it the error is errNotRead.
func (t *table) add(n *session, replace bool, limit int, b *coming) (left []*session, err error) {
	if limit == 0 {
		return nil, errNoSessions
	}
	bare := n.jid.Bare()
	sh := t.shard(bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	a := sh.accounts[bare]
	if a == nil {
		if b == nil {
			return nil, errNotRead
		}
		a = new(account)
		sh.accounts[bare] = a
		t.block(a, b.blocks)
	}
	list := slices.Clone(a.sessions)
	if old := byResource(list, n.jid); old != nil {
		if !replace {
			return nil, errTaken
		}
		list = without(list, old)
		left = append(left, old)
		n.succeed(old)
	}
	if over := len(list) + 1 - limit; limit > 0 && over > 0 {
		left = append(left, list[:over]...)
		list = list[over:]
	}
	n.account = a
	n.since.Store(t.clock.Add(1))
	a.sessions = append(list, n)
	t.size.Add(1)
	for _, s := range left {
		t.leave(s)
	}
	return left, nil
}

// remove takes out the session of a full JID if it belongs to sink.
func (t *table) remove(full stanza.JID, sink stanza.Sink) *session {
	bare := full.Bare()
	sh := t.shard(bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	a := sh.accounts[bare]
	if a == nil {
		return nil
	}
	s := byResource(a.sessions, full)
	if s == nil || s.sink != sink {
		return nil
	}
	t.leave(s)
	if a.sessions = without(a.sessions, s); len(a.sessions) == 0 {
		if a.blocks.Load() != nil { // it stays, for the last presence of the session
			t.blocking.Add(-1)
		}
		delete(sh.accounts, bare)
	}
	return s
}

// leave notes that a session is in the table no more.
func (t *table) leave(s *session) {
	t.size.Add(-1)
	if old := s.flags.Or(uint32(gone)); stanza.Mark(old)&stanza.WantsCarbons != 0 {
		t.carbons.Add(-1)
	}
}

// setBlocks replaces what tells whom an account blocks.
func (t *table) setBlocks(bare stanza.JID, f blocker) {
	sh := t.shard(bare)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if a := sh.accounts[bare]; a != nil {
		t.block(a, f)
	}
	if c := sh.coming[bare]; c != nil {
		c.blocks, c.told = f, true
	}
}

// block sets whom an account blocks. The shard's lock is held.
func (t *table) block(a *account, f blocker) {
	var p *blocker
	if f != nil {
		p = &f
	}
	switch old := a.blocks.Swap(p); {
	case old == nil && p != nil:
		t.blocking.Add(1)
	case old != nil && p == nil:
		t.blocking.Add(-1)
	}
}

// mark marks a session; carbons are counted.
func (t *table) mark(s *session, m stanza.Mark, on bool) bool {
	before, ok := s.mark(m, on)
	if !ok {
		return false
	}
	if had := before&stanza.WantsCarbons != 0; m&stanza.WantsCarbons != 0 && had != on {
		if on {
			t.carbons.Add(1)
		} else {
			t.carbons.Add(-1)
		}
	}
	return true
}

// accounts returns how many accounts have sessions.
func (t *table) accounts() (n int) {
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.RLock()
		n += len(sh.accounts)
		sh.mu.RUnlock()
	}
	return n
}

// all returns every session for which pick holds.
func (t *table) all(pick func(*session) bool) []*session {
	var found []*session
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.RLock()
		for _, a := range sh.accounts {
			for _, s := range a.sessions {
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
