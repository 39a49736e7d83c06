package s2s

import (
	"sync"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
)

// adoptions counts for what outboxes of streams that other servers have opened are
// in use: an outbox is settled when all of what it had is in other hands.
type adoptions struct {
	mu   sync.Mutex
	uses map[*xmppstream.Outbox]int
	all  int
}

// maxAdopted is for how many pairs one stream of another server is used in the other
// direction.
const maxAdopted = 16

// room reports whether there may be one more for an outbox, most in all. A server
// can have any number of names: they must not take the place of other servers.
func (a *adoptions) room(out *xmppstream.Outbox, most int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.uses[out] < maxAdopted && a.all < most
}

func (a *adoptions) begin(out *xmppstream.Outbox) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.uses == nil {
		a.uses = make(map[*xmppstream.Outbox]int)
	}
	a.uses[out]++
	a.all++
}

func (a *adoptions) end(out *xmppstream.Outbox) {
	a.mu.Lock()
	a.uses[out]--
	a.all--
	last := a.uses[out] == 0
	if last {
		delete(a.uses, out)
	}
	a.mu.Unlock()
	if last {
		out.Settle()
	}
}

// adopt offers the outbox of a stream that the server of pr.remote has opened, that
// goes both ways and has proved that domain: stanzas from pr.local go there. ok is
// false if there is a stream of our own already, or one that is being opened and
// goes both ways, or another one of that server. release is
// to be called when the stream is over, after out.Drain or a failure: what out has
// not sent is sent otherwise or returned, and in the end out is settled. One outbox
// may serve many pairs.
// See XEP-0288.
func (p *pool) adopt(pr pair, out *xmppstream.Outbox) (release func(), ok bool) {
	for {
		if !p.adopted.room(out, p.most/4) {
			return nil, false
		}
		l, err := p.obtain(linkKey{pair: pr})
		if err != nil {
			return nil, false
		}
		switch ok, gone := l.adopt(out); {
		case ok:
			return sync.OnceFunc(func() { l.release(out) }), true
		case !gone:
			return nil, false
		}
	}
}

func (l *link) adopt(out *xmppstream.Outbox) (ok, gone bool) {
	l.mu.Lock()
	if l.both && l.up == nil && l.offer == nil && !l.gone && !out.Ending() {
		defer l.mu.Unlock()
		l.offer = out
		return true, false
	}
	if l.gone || l.up != nil || l.both || l.adopted != nil || out.Ending() {
		defer l.mu.Unlock()
		return false, l.gone
	}
	if stanzas, _ := out.Room(); l.held() > stanzas { // our own takes all that waits
		defer l.mu.Unlock()
		return false, false
	}
	l.p.adopted.begin(out)
	m := l.pour(out, nil)
	l.adopted = out
	l.out.Store(out)
	if len(l.carry) > 0 { // it has ended meanwhile
		l.await(xmppstream.Load{})
	}
	l.wake()
	l.mu.Unlock()
	l.done(m)
	return true, false
}

// fallBack is for the end of a stream that goes both ways and has not come about: a
// stream that the remote server has opened meanwhile is used.
func (l *link) fallBack() {
	l.mu.Lock()
	out := l.offer
	l.both, l.offer = false, nil
	l.mu.Unlock()
	if out != nil {
		l.adopt(out)
	}
}

// release ends the use of an outbox that was adopted.
func (l *link) release(out *xmppstream.Outbox) {
	l.mu.Lock()
	if l.offer == out {
		l.offer = nil
	}
	used := l.adopted == out
	l.mu.Unlock()
	if !used {
		return
	}
	unsent, _ := l.reclaim(out)
	l.mu.Lock()
	l.adopted = nil
	settle := func() { l.p.adopted.end(out) }
	l.resume(out, leftover{unsent, settle})
	stuck := l.out.Load() != nil && !l.start()
	l.mu.Unlock()
	if stuck {
		l.fail(&failure{step: stepShutdown, err: errNotSent})
	}
	if len(unsent) == 0 {
		settle()
	}
}
