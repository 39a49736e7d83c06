package host

import (
	"iter"
	"slices"

	"github.com/tidewaiter/tidewaiter/listen/host/features/carbons"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// copied is a carbon copy for a session.
type copied struct {
	to     *session
	stanza *stanza.Stanza
}

// wantsCopies reports whether a session is to get copies.
func (l *Local) wantsCopies(s *session) bool {
	return s.is(stanza.WantsCarbons) && l.Carbons != nil && l.Carbons.Offered(s.jid.Domain())
}

// copies yields the carbon copies of a message that an account receives: for
// those of its sessions that want them and do not get the message itself. It is
// cheap when nobody has carbons enabled.
// See XEP-0280, section 7.
func (l *Local) copies(d delivery, took []*session) iter.Seq[copied] {
	return func(yield func(copied) bool) {
		if !d.copies || l.sessions.carbons.Load() <= 0 {
			return
		}
		var first *stanza.Stanza
		for _, to := range d.sessions {
			if !l.wantsCopies(to) || to.jid == d.s.From || slices.Contains(took, to) {
				continue
			}
			if first == nil {
				if !carbons.EligibleReceived(d.s) {
					return
				}
				first = carbons.Received(d.s, to.jid)
			}
			if !yield(copied{to, first.WithTo(to.jid)}) {
				return
			}
		}
	}
}

// sendCopies sends the copies of a message that an account has received; took
// are the sessions that got itself.
func (l *Local) sendCopies(d delivery, took ...*session) {
	for c := range l.copies(d, took) {
		_ = l.give(nil, delivery{s: c.stanza}, c.to) // the message does not depend on it
	}
}

// copySent sends the copies of a message that a session sends to the others of
// its account. What goes to the account itself they get as received.
// See XEP-0280, section 8.
func (l *Local) copySent(s *stanza.Stanza) {
	if !s.From.IsBare() && s.From.Bare() != s.To.Bare() {
		l.copyForSender(s)
	}
}

// copyForSender sends the copies of a message to the resources of its sender,
// other than that which it is from.
func (l *Local) copyForSender(s *stanza.Stanza) {
	var first *stanza.Stanza
	for _, to := range l.sessions.of(s.From.Bare()) {
		if !l.wantsCopies(to) || to.jid == s.From {
			continue
		}
		if first == nil {
			if !carbons.Eligible(s) {
				return
			}
			first = carbons.Sent(s, to.jid)
		}
		_ = l.give(nil, delivery{s: first.WithTo(to.jid)}, to)
	}
}
