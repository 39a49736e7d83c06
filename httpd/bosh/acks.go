package bosh

import "time"

// report tells a client of an answer that it seems not to have (XEP-0124, section 9.2).
type report struct {
	rid int64 // 0: nothing to report
	at  time.Time
}

// acknowledge takes over which answers a client has. The caller holds mu.
//
// Without acknowledgements a client that makes a request has the answers to all but the
// last few: it would have too many under way.
func (s *session) acknowledge(p *request) {
	have := p.rid - s.requests
	switch {
	case s.acks && p.ack == none:
		have = s.answered
	case s.acks:
		have = min(p.ack, s.answered)
		s.missing(p)
	case p.isExtra():
		have--
	}
	s.acked = max(s.acked, have)
	for _, a := range s.cache {
		if a.rid <= s.acked {
			s.arrived(a)
		}
	}
}

// missing answers a request at once, with a report of an answer that may be lost, if one
// may be. The caller holds mu.
func (s *session) missing(p *request) {
	for _, a := range s.cache {
		if a.rid == p.ack+1 {
			s.report = report{a.rid, a.at}
			s.release = p.rid
		}
	}
}

// appendAcks adds what the answer to p says of requests and answers (XEP-0124, section
// 9). The caller holds mu.
func (s *session) appendAcks(b []byte, p *request, created bool, now time.Time) []byte {
	if !s.acks {
		return b
	}
	if !created || s.top != p.rid {
		b = appendNumber(b, "ack", s.top)
	}
	if r := s.report; r.rid != 0 && p.rid == s.release {
		s.report = report{}
		b = appendNumber(b, "report", r.rid)
		b = appendNumber(b, "time", now.Sub(r.at).Milliseconds())
	}
	return b
}
