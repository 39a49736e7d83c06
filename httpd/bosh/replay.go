package bosh

import (
	"slices"
	"time"
)

// again takes a request that was received before: its answer was lost, or its connection
// (XEP-0124, section 14.3). It reports false if it was not, or the answer is there no more.
// The caller holds mu.
func (s *session) again(p *request, now time.Time) bool {
	for _, list := range [][]*request{s.held, s.early} {
		for i, q := range list {
			if q.rid == p.rid {
				s.replace(list, i, p, now)
				return true
			}
		}
	}
	if p.rid > s.answered {
		return false
	}
	i := slices.IndexFunc(s.cache, func(a *answer) bool { return a.rid == p.rid })
	if i < 0 {
		return false
	}
	a := s.cache[i]
	switch a.repeat++; {
	case !sameKey(a.key, p.key):
		s.violate(p, itemNotFound)
	case a.repeat > maxRepeats:
		s.violate(p, policyViolation)
	default:
		s.enter(p, now)
		p.reply(a)
	}
	return true
}

// replace lets a request wait in the place of one that is the same. The caller holds mu.
func (s *session) replace(list []*request, i int, p *request, now time.Time) {
	q := list[i]
	p.repeat = q.repeat + 1
	switch {
	case !sameKey(q.key, p.key):
		s.violate(p, itemNotFound)
		return
	case p.repeat > maxRepeats:
		s.violate(p, policyViolation)
		return
	}
	p.items, p.size, p.newKey, p.ack = q.items, q.size, q.newKey, q.ack
	p.pause, p.terminate, p.empty = q.pause, q.terminate, q.empty
	list[i] = p
	if !q.gone {
		q.reply(&answer{body: recoverableBody})
	}
	if p.rid <= s.top {
		s.enter(p, now)
	}
	s.flush(now)
}

// remember keeps an answer to be asked for again: as many as a client may lose, within the
// bound. One that was not taken is kept in any case. The caller holds mu.
func (s *session) remember(a *answer, now time.Time) {
	a.at = now
	s.cache = append(s.cache, a)
	last := len(s.cache) - 1
	keep := max(s.requests, a.rid-s.acked)
	if s.acks {
		keep = min(keep, maxUnacked)
	}
	old, size := max(0, last+1-int(keep)), len(a.body)
	for i := last - 1; i >= old; i-- {
		if size += len(s.cache[i].body); size > maxCached && !s.cache[i].out {
			old = i + 1
		}
	}
	s.drop(old)
}

// drop forgets the oldest answers: the client has them. The caller holds mu.
func (s *session) drop(n int) {
	for _, a := range s.cache[:n] {
		s.arrived(a)
	}
	s.cache = slices.Delete(s.cache, 0, n)
}
