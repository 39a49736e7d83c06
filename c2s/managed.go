package c2s

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const (
	// lateAnswer is how long a client waits for an acknowledgement of all that it
	// has sent; then it gets one of what is safe.
	lateAnswer = time.Second
	// markEvery is how many stanzas of a client that asks for nothing are
	// acknowledged together.
	markEvery = 64
	// maxRecent bounds what is known of stanzas that are not safe: more of them
	// may be handled twice after a resumption.
	maxRecent = 1024
	// idleRecent is what a session keeps of the memory for it.
	idleRecent = 8
)

// managed is what a session knows of its managed stream.
type managed struct {
	receipt stanza.Receipt
	id      string        // "": it cannot be resumed
	wait    time.Duration // how long it can be

	// turn is held while something that the client sent is handled, and while the
	// session changes its stream or ends. It guards session.on and replay.
	turn   turn
	replay []uint64 // what the client will send again, though it was handled

	away *away // nil: it has a stream; the session's mu guards it

	mu      sync.Mutex
	handled uint32      // stanzas, modulo 2^32
	safe    uint32      // of them, those that nothing can happen to any more
	recent  []uint64    // prints of the others, in order
	late    *time.Timer // for asked; nil: none so far
	epoch   uint32      // of the numbers; it changes if a client does not send what it should
	gap     bool        // some are missing at the end of recent
	asked   bool        // the client waits for an <a/>
	waiting bool        // late is running
}

// command takes an element that is no stanza.
func (s *stream) command(x *session, e *stanza.Element) (state, error) {
	if e.Name.Space != xmppstream.NSSM {
		return nil, xmppstream.Unsupported(e, "client")
	}
	switch {
	case e.Name.Local == "enable":
		return s.enable(x, e)
	case e.Name.Local == "resume":
		return nil, x.send(smFailed(stanza.UnexpectedRequest))
	case e.Name.Local == "r" && x.m != nil:
		x.answer()
		return nil, nil
	case e.Name.Local == "a" && x.m != nil:
		return nil, x.acked(e)
	}
	return nil, xmppstream.Unsupported(e, "client")
}

// acked takes an <a/>.
func (x *session) acked(e *stanza.Element) error {
	h, err := xmppstream.ParseAck(e)
	if err != nil {
		return err
	}
	return x.out.Acked(h)
}

// enable begins to manage the stream.
// See XEP-0198, section 3.
func (s *stream) enable(x *session, e *stanza.Element) (state, error) {
	if x.m != nil {
		if err := x.send(smFailed(stanza.UnexpectedRequest)); err != nil {
			return nil, err
		}
		return nil, &stanza.StreamError{Condition: stanza.StreamPolicyViolation, Text: "stream management is enabled already"}
	}
	o := s.l.srv.managementFor(s.domain)
	if o == nil {
		return nil, x.send(smFailed(stanza.FeatureNotImplemented))
	}
	want, err := xmppstream.ParseEnable(e)
	if err != nil {
		return nil, x.send(smFailed(stanza.BadRequest))
	}
	m := new(managed)
	var answer xmppstream.Enabled
	if wait := o.wait(want.Max); want.Resume && wait > 0 {
		m.id, m.wait = rand.Text(), wait
		answer = xmppstream.Enabled{ID: m.id, Resume: true, Max: wait}
	}
	x.mu.Lock() // a kick comes before Manage, or sees what it has to end
	defer x.mu.Unlock()
	err = x.out.Manage(string(answer.AppendXML(nil)), xmppstream.AckOptions{
		Stanzas: o.MaxAckQueue, Timeout: o.AckTimeout, Resumable: m.id != "",
	})
	if err != nil {
		return nil, x.refused(err)
	}
	if x.m = m; m.id != "" {
		s.l.srv.sessions.addResumable(x)
	}
	return s.serve, nil
}

// send queues an element that is no stanza. A client that has more of them than
// the queue takes loses its session.
func (x *session) send(xml string) error { return x.refused(x.out.Send(xml)) }

// refused says what an error of the outbox means for the stream.
func (x *session) refused(err error) error {
	switch {
	case errors.Is(err, stanza.ErrClosed):
		return nil // Read will say why
	case err != nil:
		return &stanza.StreamError{Condition: stanza.StreamResourceConstraint, Text: "client does not read", Err: err}
	}
	return nil
}

func smFailed(c stanza.Condition) string {
	f := xmppstream.Failed{Condition: c}
	return string(f.AppendXML(nil))
}

// seize takes the turn, and reports whether the session is still this stream's.
func (s *stream) seize(x *session) bool {
	s.holds = x.m.turn.take(nil)
	return x.on == s
}

// yield gives the turn back.
func (s *stream) yield(x *session) {
	s.holds = false
	x.m.turn.give()
}

// handleManaged does what handle does, on a managed stream: it counts stanzas.
func (s *stream) handleManaged(ctx context.Context, x *session, in stanza.Incoming, err error) (state, error) {
	if !s.seize(x) {
		return nil, errResumed
	}
	m := x.m
	var p uint64
	if in.Stanza != nil {
		if p = printOf(in.Stanza); m.isRepeated(p) {
			if m.note(p) {
				x.mark()
			}
			s.yield(x)
			return nil, nil
		}
	}
	next, err := s.handle(ctx, x, in, err)
	switch {
	case err == errUnheard:
		err = nil
	case in.Stanza != nil && err == nil && m.note(p):
		x.mark()
	}
	s.yield(x) // not after a panic: then end goes on with the turn
	return next, err
}

var errResumed = errors.New("client has resumed its session on another stream")

// answer answers an <r/>: at once if all that was handled is safe.
func (x *session) answer() {
	m := x.m
	m.mu.Lock()
	m.asked = true
	m.mu.Unlock()
	x.mark()
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !m.asked || m.waiting:
		return
	case m.late == nil:
		m.late = time.AfterFunc(lateAnswer, x.answerLate)
	default:
		m.late.Reset(lateAnswer)
	}
	m.waiting = true
}

// answerLate answers an <r/> with what is safe so far.
func (x *session) answerLate() {
	m := x.m
	m.mu.Lock()
	asked, h := m.asked, m.said()
	m.asked, m.waiting = false, false
	m.mu.Unlock()
	if asked {
		x.out.Acknowledge(h)
	}
}

// stop stops the timer.
func (m *managed) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.late != nil {
		m.late.Stop()
	}
}

// mark acknowledges what has been handled so far as soon as it is safe.
func (x *session) mark() {
	m := x.m
	m.mu.Lock()
	n, epoch := m.handled, m.epoch
	m.mu.Unlock()
	m.receipt.Mark(func() { x.isSafe(n, epoch) })
}

// isSafe acknowledges n stanzas.
func (x *session) isSafe(n, epoch uint32) {
	m := x.m
	m.mu.Lock()
	if epoch != m.epoch {
		m.mu.Unlock()
		return
	}
	m.asked = false
	m.advance(n)
	h := m.said()
	m.mu.Unlock()
	x.out.Acknowledge(h)
}

// lastAck acknowledges what is safe before the stream ends. A client that ends
// it in order gets to know of all that it has sent, if that does not take long.
func (x *session) lastAck(wait bool) {
	x.mark()
	if !wait {
		return
	}
	m := x.m
	done := make(chan struct{})
	m.receipt.Mark(func() { close(done) })
	late := time.NewTimer(lateAnswer)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
		m.mu.Lock()
		h := m.said()
		m.mu.Unlock()
		x.out.Acknowledge(h)
	}
}
