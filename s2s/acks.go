package s2s

import (
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const (
	// lateAnswer is how long a server waits for an acknowledgement of all that it
	// has sent; then it gets one of what is safe.
	lateAnswer = time.Second
	// markEvery is how many stanzas of a server that asks for nothing are
	// acknowledged together.
	markEvery = 64
)

// acks says to a server what is safe of what it has sent (XEP-0198).
type acks struct {
	receipt stanza.Receipt
	out     *xmppstream.Outbox

	taking sync.Mutex // held while a stanza is handled
	over   bool       // none is any more

	mu      sync.Mutex
	count   uint32      // stanzas that were handled, modulo 2^32
	marked  uint32      // of them, those that are acknowledged as soon as they are safe
	safe    uint32      // and those that nothing can happen to any more
	late    *time.Timer // for asked; nil: none so far
	asked   bool        // the server waits for an <a/>
	waiting bool        // late is running
}

var smEnable = stanza.Name{Space: xmppstream.NSSM, Local: "enable"}

// enable begins to manage the stream. It cannot be resumed.
// See XEP-0198, section 3.
func (s *stream) enable(e *stanza.Element) error {
	c := s.l.srv.settings.Load()
	switch {
	case s.pairs() == 0:
		if s.requests++; s.requests > maxRequests {
			return &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: "too many requests before authentication"}
		}
		return s.say(smFailed(stanza.UnexpectedRequest))
	case s.acks != nil:
		if err := s.say(smFailed(stanza.UnexpectedRequest)); err != nil {
			return err
		}
		return &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: "stream management is enabled already"}
	case c.AckTimeout <= 0:
		return s.say(smFailed(stanza.FeatureNotImplemented))
	}
	if _, err := xmppstream.ParseEnable(e); err != nil {
		return s.say(smFailed(stanza.BadRequest))
	}
	var enabled xmppstream.Enabled
	err := s.out.Manage(string(enabled.AppendXML(nil)), xmppstream.AckOptions{
		Stanzas: s.l.o.MaxFSMQueue, Timeout: c.AckTimeout,
	})
	if err == nil {
		s.mu.Lock()
		s.acks = &acks{out: s.out}
		s.mu.Unlock()
	}
	return refused(err)
}

func smFailed(c stanza.Condition) string {
	f := xmppstream.Failed{Condition: c}
	return string(f.AppendXML(nil))
}

// acked takes an <a/>.
func (a *acks) acked(e *stanza.Element) error {
	h, err := xmppstream.ParseAck(e)
	if err != nil {
		return err
	}
	return a.out.Acked(h)
}

// begin reports whether a stanza is to be handled. Then taking is held until that
// is done.
func (a *acks) begin() bool {
	a.taking.Lock()
	if a.over {
		a.taking.Unlock()
		return false
	}
	return true
}

// last acknowledges all that was handled, before this side ends the stream. What
// comes then is not handled: the server has it back.
// See XEP-0198, section 4.
func (a *acks) last() {
	a.taking.Lock()
	a.over = true
	a.taking.Unlock()
	a.end(true)
}

// handled counts a stanza.
func (a *acks) handled() {
	a.mu.Lock()
	a.count++
	due := a.count%markEvery == 0
	a.mu.Unlock()
	if due {
		a.mark()
	}
}

// mark acknowledges what has been handled so far as soon as it is safe.
func (a *acks) mark() {
	a.mu.Lock()
	n := a.count
	a.marked = n
	a.mu.Unlock()
	a.receipt.Mark(func() { a.isSafe(n) })
}

// isSafe acknowledges n stanzas. The calls come in order.
func (a *acks) isSafe(n uint32) {
	a.mu.Lock()
	a.safe, a.asked = n, false
	a.mu.Unlock()
	a.out.Acknowledge(n)
}

// answer answers an <r/>: at once if all that was handled is safe.
func (a *acks) answer() {
	a.mu.Lock()
	a.asked = true
	a.mu.Unlock()
	a.mark()
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !a.asked || a.waiting:
		return
	case a.late == nil:
		a.late = time.AfterFunc(lateAnswer, a.answerLate)
	default:
		a.late.Reset(lateAnswer)
	}
	a.waiting = true
}

// answerLate answers an <r/> with what is safe so far.
func (a *acks) answerLate() {
	a.mu.Lock()
	asked, h := a.asked, a.safe
	a.asked, a.waiting = false, false
	a.mu.Unlock()
	if asked {
		a.out.Acknowledge(h)
	}
}

// end acknowledges what is safe when the stream ends. A server that ends it in
// order gets to know of all that it has sent, if that does not take long.
func (a *acks) end(inOrder bool) {
	done := make(chan struct{})
	a.mu.Lock()
	told := a.marked == a.count
	a.mu.Unlock()
	if !told {
		a.mark()
	}
	a.receipt.Mark(func() { close(done) })
	if inOrder {
		late := time.NewTimer(lateAnswer)
		defer late.Stop()
		select {
		case <-done:
		case <-late.C:
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.late != nil {
		a.late.Stop()
	}
}
