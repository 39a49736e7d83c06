package bosh

import (
	"errors"
	"fmt"
	"io"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// errGone is why a session ends whose client stays away: it may be resumed.
var errGone = fmt.Errorf("client has stopped asking: %w", io.ErrUnexpectedEOF)

// violate ends the session because of a request. The caller holds mu.
func (s *session) violate(p *request, c condition) {
	p.reply(terminal(c, s.legacy))
	var err error = &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Err: errors.New("BOSH: " + string(c))}
	if c == itemNotFound { // whoever sent that need not be the client
		err = fmt.Errorf("request was out of sequence: %w", io.ErrUnexpectedEOF)
	}
	s.end(err, terminal(otherRequest, false))
}

// refuse is violate for a request that could not be read.
func (s *session) refuse(p *request, c condition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		c = itemNotFound
	}
	s.violate(p, c)
}

// end ends the session. Requests that wait get others for an answer. The caller holds mu.
func (s *session) end(err error, others *answer) {
	if s.over {
		return
	}
	s.over, s.err = true, err
	for _, list := range [][]*request{s.held, s.early} {
		for _, p := range list {
			if p.answer == nil {
				p.reply(others)
			}
		}
	}
	s.held, s.early, s.cache = nil, nil, nil
	s.inbox.end(err)
	s.outbox.Broadcast()
	s.stopTimer()
	s.h.forget(s)
}
