package bosh

import (
	"slices"
	"time"
)

// flush answers what is to be answered now: requests get their answers in order
// (XEP-0124, section 8). The caller holds mu.
func (s *session) flush(now time.Time) {
	for len(s.held) > 0 && !s.over {
		p := s.held[0]
		switch {
		case s.bye != nil:
			s.sayBye()
			return
		case s.prebind == binding:
			return
		case p.gone && len(s.held) > 1:
			s.settle(p, nil, now) // the elements go to one who is there
		case p.gone:
			return
		case p.terminate && !s.isRead(p, now):
			return
		case s.outbox.has() && p.pause == none:
			s.settle(p, s.outbox.cut(s.maxConcat), now)
		case s.isDue(p, now):
			s.settle(p, nil, now)
		default:
			return
		}
	}
}

// isRead says whether what the client has sent was read to its end, which p is: who is told
// that the session ends may begin another one, in whose favour this one is not heard any
// more. A reader that is busy is not waited for for long.
func (s *session) isRead(p *request, now time.Time) bool {
	return s.inbox.drained || now.Sub(p.at) >= closeTimeout
}

// isDue says whether the oldest request gets an answer although there is nothing to say.
func (s *session) isDue(p *request, now time.Time) bool {
	late := s.wait > 0 && now.Sub(p.at) >= s.wait
	switch {
	case p.rid <= s.release:
		return true
	case s.leaving: // the end will be told
		return late
	case s.created:
		return late || s.polls() || len(s.held) > s.hold
	}
	return late
}

// settle answers the oldest request. The caller holds mu.
func (s *session) settle(p *request, payload []byte, now time.Time) {
	a := s.compose(p, payload, now)
	if len(payload) > 0 {
		a.out = true
		s.outbox.unsent++
		if p.rid == s.prev.rid {
			s.prev.paid = true
		}
	}
	s.held = slices.Delete(s.held, 0, 1)
	s.answered = p.rid
	s.remember(a, now)
	if !p.gone {
		p.reply(a)
	}
}

// sayBye tells all requests that the session ends: the oldest gets the reason (XEP-0124,
// section 13). The caller holds mu.
func (s *session) sayBye() {
	told := false
	for _, p := range s.held {
		switch {
		case p.gone:
		case told:
			p.reply(&answer{body: emptyBody})
		default:
			p.reply(s.bye)
			told = true
		}
		s.answered = p.rid
	}
	s.held = nil
}
