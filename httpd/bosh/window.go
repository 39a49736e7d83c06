package bosh

import (
	"io"
	"slices"
	"time"
)

// arrive takes a request. Either it has its answer then, or p.done is closed when it has.
func (s *session) arrive(p *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	p.at = now
	s.take(p, now)
	if p.answer == nil {
		p.done = make(chan struct{})
	}
	s.arm(now)
}

// take is arrive with the clock.
func (s *session) take(p *request, now time.Time) {
	switch {
	case s.over, s.byeTaken:
		p.reply(terminal(itemNotFound, s.legacy))
		return
	case s.again(p, now):
		return
	case s.bye != nil:
		s.enter(p, now)
		s.held = append(s.held, p)
		s.flush(now)
		return
	case s.leaving:
		p.reply(terminal(itemNotFound, s.legacy))
		return
	}
	if c := s.judge(p, now); c != "" {
		s.violate(p, c)
		return
	}
	s.used()
	s.prev = poll{rid: p.rid, at: now, empty: p.empty}
	s.patience = s.inactivity
	s.early = append(s.early, p)
	for {
		i := s.earlyIndex(s.top + 1)
		if i < 0 {
			break
		}
		s.top++
		s.enter(s.early[i], now)
	}
	s.advance(now)
}

// judge says what is wrong with a new request; "" for nothing (XEP-0124, sections 11, 12
// and 14.2).
func (s *session) judge(p *request, now time.Time) condition {
	waiting, allowed := p.rid-s.answered, s.requests
	if p.isExtra() {
		allowed++
	}
	soon := p.empty && now.Sub(s.prev.at) < polling
	switch {
	case p.rid <= s.top, p.rid > s.top+s.requests, p.rid > maxRID:
		return itemNotFound
	case waiting > allowed:
		return policyViolation
	case s.polls() && soon && s.prev.empty && !s.prev.paid && s.prev.rid == p.rid-1,
		!s.polls() && soon && waiting == s.requests && s.isWaiting(p.rid-1):
		return policyViolation
	}
	return ""
}

// isWaiting says whether a request waits for its answer, and has a connection to wait on:
// who loads a page again breaks one off, and makes the next.
func (s *session) isWaiting(rid int64) bool {
	for _, list := range [][]*request{s.held, s.early} {
		for _, p := range list {
			if p.rid == rid {
				return !p.gone
			}
		}
	}
	return false
}

// polls says whether requests are answered at once (XEP-0124, section 12).
func (s *session) polls() bool { return s.hold == 0 || s.wait == 0 }

func (s *session) earlyIndex(rid int64) int {
	return slices.IndexFunc(s.early, func(p *request) bool { return p.rid == rid })
}

// advance takes the requests whose turn it is, as far as there is room, and answers those
// that are due. The caller holds mu.
func (s *session) advance(now time.Time) {
	for !s.over {
		i := s.earlyIndex(s.processed + 1)
		if i < 0 || s.inbox.bytes > 0 && s.inbox.bytes+s.early[i].size > maxInbound {
			break
		}
		p := s.early[i]
		s.early = slices.Delete(s.early, i, i+1)
		s.process(p)
	}
	s.flush(now)
}

// process takes a request whose turn it is. The caller holds mu.
func (s *session) process(p *request) {
	if !s.keys.check(p.key, p.newKey) {
		s.violate(p, itemNotFound)
		return
	}
	s.processed = p.rid
	s.held = append(s.held, p)
	s.acknowledge(p)
	s.receive(p.items, p.size)
	p.items = nil
	if p.pause != none {
		s.pause(p)
	}
	if p.terminate {
		s.leaving, s.patience = true, closeTimeout
		s.inbox.end(io.EOF)
	}
}

// receive queues what is to be read. The caller holds mu.
func (s *session) receive(items []item, size int) {
	if len(s.inbox.queue) == 0 {
		s.inbox.queue = items
	} else {
		s.inbox.queue = append(s.inbox.queue, items...)
	}
	s.inbox.bytes += size
	s.inbox.Broadcast()
}
