package c2s

import (
	"crypto/subtle"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// registry has the bound sessions of a Server.
type registry struct {
	mu        sync.Mutex
	sessions  map[*session]struct{}
	resumable map[stanza.JID][]*session // by account
	requests  uint64                    // of the sessions that have ended

	over            memorial
	resumed, failed atomic.Uint64
}

func (r *registry) add(x *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions == nil {
		r.sessions = make(map[*session]struct{})
	}
	r.sessions[x] = struct{}{}
}

// addResumable notes that a session has an id.
func (r *registry) addResumable(x *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.resumable == nil {
		r.resumable = make(map[stanza.JID][]*session)
	}
	account := x.jid.Bare()
	r.resumable[account] = append(r.resumable[account], x)
}

func (r *registry) remove(x *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, x)
	r.requests += x.out.Load().Requests
	if x.m == nil || x.m.id == "" {
		return
	}
	account := x.jid.Bare()
	rest := slices.DeleteFunc(r.resumable[account], func(o *session) bool { return o == x })
	if len(rest) == 0 {
		delete(r.resumable, account)
	} else {
		r.resumable[account] = rest
	}
}

// find returns the session of an account that has an id, nil when there is
// none.
func (r *registry) find(account stanza.JID, id string) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found *session
	for _, x := range r.resumable[account] {
		if sameID(x.m.id, id) {
			found = x
		}
	}
	return found
}

// sameID compares ids in a time that does not tell how much of them is the same.
func sameID(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// all returns the sessions, and what clients were asked in those that have
// ended.
func (r *registry) all() (list []*session, requests uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.sessions)), r.requests
}

// maxOver is how many sessions are remembered that were not resumed in time.
const maxOver = 1000

// memorial remembers how far sessions got that were not resumed in time, so that
// their clients need not send all again. It has the last maxOver of them.
type memorial struct {
	mu   sync.Mutex
	list []past
	next int // is replaced next
}

type past struct {
	account stanza.JID
	id      string
	h       uint32
}

func (m *memorial) add(jid stanza.JID, id string, h uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := past{jid.Bare(), id, h}
	if len(m.list) < maxOver {
		m.list = append(m.list, p)
		return
	}
	m.list[m.next] = p
	m.next = (m.next + 1) % maxOver
}

func (m *memorial) find(account stanza.JID, id string) (h uint32, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.list {
		if p.account == account && sameID(p.id, id) {
			h, ok = p.h, true
		}
	}
	return h, ok
}

// Stats are numbers of a Server, for metrics.
type Stats struct {
	Sessions int // bound now, those without a connection included
	Detached int // of them, those without a connection, which wait to be resumed

	Queued       int // stanzas that wait to be written to clients, now
	QueuedBytes  int // their size in bytes, about
	Unacked      int // stanzas that are written and not acknowledged, now
	UnackedBytes int // their size in bytes, about

	AckRequests   uint64 // acknowledgements that clients were asked for, since New
	Resumed       uint64 // sessions that were resumed, since New
	ResumesFailed uint64 // requests to resume that were refused, since New
}

// Stats returns the numbers of this moment. It looks at each session, which
// takes some milliseconds when there are 100,000 of them; the sessions go on
// meanwhile.
func (s *Server) Stats() Stats {
	r := &s.sessions
	all, requests := r.all()
	n := Stats{Sessions: len(all), AckRequests: requests, Resumed: r.resumed.Load(), ResumesFailed: r.failed.Load()}
	for _, x := range all {
		x.mu.Lock()
		if x.m != nil && x.m.away != nil {
			n.Detached++
		}
		x.mu.Unlock()
		l := x.out.Load()
		n.Queued += l.Queued
		n.QueuedBytes += l.QueuedBytes
		n.Unacked += l.Unacked
		n.UnackedBytes += l.UnackedBytes
		n.AckRequests += l.Requests
	}
	return n
}
