package s2s

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const (
	maxAsks       = maxChecks        // of all links: each address has a small part of them
	maxTries      = 2                // of an ask
	verifyTimeout = 60 * time.Second // of one
	// linger is how long a stream that was opened for a question stays: what comes
	// next is often an answer to somebody there.
	linger = 10 * time.Second
)

// errVerifyTimeout is the answer of a server that does not answer.
var errVerifyTimeout = &stanza.Error{Condition: stanza.RemoteServerTimeout, Text: "the remote server does not answer"}

// question is a question to the remote server of a link: is this key yours?
type question struct {
	id, key string
	done    chan error // takes one
	sent    bool
	tries   int
}

// verify asks the server of pr.remote whether key is its own for our stream id. It
// returns nil for yes, errInvalidKey, or else a *stanza.Error.
// See XEP-0220, section 2.1.2.
func (p *pool) verify(ctx context.Context, pr pair, id, key string) error {
	defer p.asking.Add(-1)
	switch c := p.srv.settings.Load(); {
	case p.asking.Add(1) > maxAsks:
		return &stanza.Error{Condition: stanza.ResourceConstraint, Text: "too many keys are being verified"}
	case !c.allows(pr):
		return errDenied
	}
	a := &question{id: id, key: key, done: make(chan error, 1)}
	var l *link
	for gone := true; gone; {
		var err *stanza.Error
		if l, err = p.obtain(linkKey{pair: pr}); err != nil {
			return err
		}
		if err, gone = l.ask(a); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	select {
	case err := <-a.done:
		return err
	case <-ctx.Done():
		l.unask(a)
		return errVerifyTimeout
	}
}

// ask puts a question; gone: the link is not in use any more. That the server could
// not be reached lately does not matter: it has just connected to us.
func (l *link) ask(a *question) (err *stanza.Error, gone bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return nil, true
	}
	if l.up != nil {
		switch err := l.up.out.Send(l.verification(a)); {
		case err == nil:
			a.sent = true
		case errors.Is(err, stanza.ErrQueueFull):
			return errQueueFull, false
		}
	}
	if l.p.closed.Load() || !a.sent && !l.start() {
		return errStopping, false
	}
	l.asks = append(l.asks, a)
	return nil, false
}

// unask takes a question back.
func (l *link) unask(a *question) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.asks, a); i >= 0 {
		l.asks = slices.Delete(l.asks, i, i+1)
		l.wake()
	}
}

// verification returns <db:verify/>.
func (l *link) verification(a *question) string {
	return dialback{Name: dbVerify.Local, From: l.local, To: l.remote, ID: a.id, Key: a.key}.String()
}

// sendAsks sends the questions that were not sent. The caller holds mu.
func (l *link) sendAsks(send func(xml string) error) {
	for _, a := range l.asks {
		if !a.sent {
			a.sent = send(l.verification(a)) == nil
		}
	}
}

// reask has questions asked again whose stream has ended, unless that has happened
// before. The caller holds mu.
func (l *link) reask() {
	l.asks = slices.DeleteFunc(l.asks, func(a *question) bool {
		if a.sent {
			a.sent = false
			a.tries++
		}
		if a.tries >= maxTries {
			a.done <- errVerifyTimeout
			return true
		}
		return false
	})
}

// answered takes an answer of the remote server. One to no question is left alone:
// it may have come too late.
// See XEP-0220, sections 2.1.2 and 3.1.
func (l *link) answered(d dialback, pr pair) {
	if pr != l.pair {
		return
	}
	var err error
	switch d.Type {
	case dbValid:
	case dbInvalid:
		err = errInvalidKey
	default:
		err = cmp.Or(d.Err, errVerifyTimeout)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.asks, func(a *question) bool { return a.sent && a.id == d.ID })
	if i < 0 {
		return
	}
	l.asks[i].done <- err
	l.asks = slices.Delete(l.asks, i, i+1)
	l.back = backoff{} // the server can be reached
	l.wake()
}

// errWoken says that there is something else to do than to read.
var errWoken = errors.New("woken")

// wake wakes the reader of a stream that is being negotiated, if it may be. The
// caller holds mu.
func (l *link) wake() {
	if l.reader != nil {
		_ = l.reader.SetReadDeadline(time.Unix(1, 0))
	}
}

// nextUntil is next where the server can be asked: before and during dialback. It
// returns errWoken when there is something else to do, or at until; zero: not before
// the time of the negotiation is over.
func (n *opening) nextUntil(until time.Time) (*stanza.Element, error) {
	if err := n.ask(until); err != nil {
		return nil, err
	}
	e, err := n.next()
	n.l.mu.Lock()
	n.l.reader = nil
	n.l.mu.Unlock()
	_ = n.t.SetReadDeadline(n.deadline) // somebody may have woken us too late
	if errors.Is(err, os.ErrDeadlineExceeded) && (n.deadline.IsZero() || time.Now().Before(n.deadline)) {
		return nil, errWoken
	}
	return e, err
}

// ask sends the questions that wait, and lets others wake the reader.
func (n *opening) ask(until time.Time) error {
	var questions []byte
	l := n.l
	l.mu.Lock()
	l.sendAsks(func(xml string) error {
		questions = append(questions, xml...)
		return nil
	})
	deadline := n.deadline
	if !until.IsZero() && (deadline.IsZero() || until.Before(deadline)) {
		deadline = until
	}
	_ = n.t.SetReadDeadline(deadline)
	l.reader = n.t
	l.mu.Unlock()
	if len(questions) == 0 {
		return nil
	}
	return n.t.Write(stanza.Batch{Bytes: questions, Ends: []int{len(questions)}})
}

// serveAsks waits while nothing but questions waits for the server. It reports
// whether stanzas do; false: there is nothing to be done any more.
func (n *opening) serveAsks() (goOn bool, f *failure) {
	var until time.Time
	asked := false
	for {
		n.l.mu.Lock()
		wanted, asks := n.l.wanted(), len(n.l.asks)
		n.l.mu.Unlock()
		switch {
		case wanted:
			return true, nil
		case asks > 0:
			asked, until = true, time.Time{}
		case !asked:
			return false, nil
		case until.IsZero():
			until = time.Now().Add(linger)
		case !time.Now().Before(until) || n.l.p.closed.Load():
			return false, nil
		}
		if e, err := n.nextUntil(until); err == nil {
			return false, n.fail(stepStream, unexpected(e))
		} else if err != errWoken {
			return false, n.fail(stepStream, err)
		}
	}
}
