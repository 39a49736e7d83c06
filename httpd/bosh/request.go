package bosh

import (
	"bytes"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd"
)

// request is one that was received.
type request struct {
	rid         int64
	at          time.Time
	key, newKey []byte
	ack         int64
	pause       int64
	terminate   bool
	empty       bool // it only waits
	items       []item
	size        int
	repeat      int

	counted bool // in session.here
	gone    bool // its handler has returned
	answer  *answer
	done    chan struct{} // closed when there is an answer; nil: nobody waits
	held    *httpd.Held   // waits for it; nil: a handler does
}

// request makes a request of the body.
func (x *reader) request() *request {
	b := &x.body
	p := &request{rid: b.rid, ack: b.ack, pause: b.pause, terminate: b.terminate}
	if len(b.key) > 0 || len(b.newKey) > 0 {
		p.key, p.newKey = bytes.Clone(b.key), bytes.Clone(b.newKey)
	}
	return p
}

// add adds what is to be read.
func (p *request) add(i item) {
	p.items = append(p.items, i)
	p.size += i.size()
}

// reply gives a request its answer. The caller holds mu.
func (p *request) reply(a *answer) {
	p.answer = a
	if p.done != nil {
		close(p.done)
	}
	if p.held != nil {
		p.held.Wake()
	}
}

// isExtra says whether a request may come in addition to those that are allowed
// (XEP-0124, section 11).
func (p *request) isExtra() bool { return p.terminate || p.pause != none }
