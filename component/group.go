package component

import (
	"errors"
	"hash/maphash"
	"slices"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// group is who serves one domain: the streams of one or more components. The
// router knows it and nothing of them.
//
// Each sender has one member who serves him. What he sends stays in order also
// when members come and go, because at most one of them has stanzas of his that
// are not written:
//
//   - A member that comes takes over some senders. What they send is held until
//     the members before it have written what they had. One comes at a time.
//   - A member that goes leaves what it has not written, and then what was held
//     for it meanwhile, to those who take over its senders.
type group struct {
	domain string
	srv    *Server

	ready   chan struct{} // closed once the router knows the group, or err is set
	err     error
	release func()
	gone    chan struct{} // closed once the router has forgotten the group

	// mu is never held while the router, Events or the callbacks of Confirm run.
	mu      sync.Mutex
	seats   []*seat // all of them, the reserved ones included
	members []*seat // who share the senders, in the order in which they came
	queue   []*seat // who want to be members
	coming  *seat   // the member that has just come; nil: none, or it is open
	arrived uint64  // number of the last member
	over    bool    // there is no seat and never will be
	going   []*seat // whose stanzas are on their way back, or to others
}

var (
	_ stanza.Confirmer = (*group)(nil)

	errDenied = &stanza.Error{Condition: stanza.NotAllowed}
	errGone   = errors.New("group has ended")
)

// seat is the place of one stream in one group.
type seat struct {
	g *group
	x *stream

	// The rest is guarded by mu of the group.
	state  seatState
	number uint64           // in the order in which the members came
	needs  []*seat          // members who write first what they have; of one that is coming
	held   []*stanza.Stanza // while it is coming or leaving
	bytes  int              // of held
	after  []func()         // of Confirm, until it is open or settled
	turn   uint64           // of the stream's wish for it
}

type seatState uint8

const (
	seatReserved seatState = iota // no member: what is delivered does not concern it
	seatComing
	seatOpen
	seatLeaving
	seatGone
)

// Deliver implements stanza.Sink. Its errors are a *stanza.Error where the access
// rule refuses the sender, stanza.ErrQueueFull and stanza.ErrClosed. A component
// that does not read what is queued for it loses its stream.
func (g *group) Deliver(st *stanza.Stanza) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		m := pick(g.members, st)
		switch {
		case m == nil:
			return stanza.ErrClosed
		case !m.x.l.admits(st.From):
			return errDenied
		case m.state != seatOpen:
			return m.hold(st)
		}
		err := m.x.Deliver(st)
		if err == nil {
			return nil
		}
		g.leave(m)
		if !errors.Is(err, stanza.ErrClosed) {
			return err
		}
	}
}

// hold keeps a stanza until the seat is open, or others have taken its place.
func (m *seat) hold(st *stanza.Stanza) error {
	o := &m.x.l.o
	if n := len(m.held); n > 0 && (o.MaxFSMQueue > 0 && n >= o.MaxFSMQueue || o.MaxQueueBytes > 0 && m.bytes+st.Size() > o.MaxQueueBytes) {
		return stanza.ErrQueueFull
	}
	m.held = append(m.held, st)
	m.bytes += st.Size()
	return nil
}

// Kick implements stanza.Sink: it ends all streams of the group.
func (g *group) Kick(reason *stanza.StreamError) {
	g.mu.Lock()
	seats := slices.Clone(g.seats)
	g.mu.Unlock()
	for _, m := range seats {
		m.x.Kick(reason)
	}
}

// pick returns the member who serves the sender of a stanza, nil if there is
// none: the one whose hash with the sender is the highest (rendezvous hashing).
// When a member comes or goes, no senders but its own change.
func pick(members []*seat, st *stanza.Stanza) *seat {
	switch len(members) {
	case 0:
		return nil
	case 1:
		return members[0]
	}
	sender := maphash.String(members[0].g.srv.groups.seed, st.From.Bare().String())
	var best *seat
	var most uint64
	for _, m := range members {
		if h := mix(sender ^ m.x.salt); best == nil || h > most {
			best, most = m, h
		}
	}
	return best
}

// mix spreads the bits of a number over all of it, as SplitMix64 does.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
