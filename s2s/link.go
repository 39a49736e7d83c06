package s2s

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// link is the way from a local to a remote domain. What is sent there goes into an
// outbox: one without a transport while a stream is being opened, then that of the
// stream, or of one that the remote server has opened and that goes both ways.
//
// When a stream ends, what was not written waits to be moved to the next outbox
// before all that came later. Old outboxes are settled, and so confirmed to
// senders, once the new one has confirmed what was moved, or it was returned.
type link struct {
	p *pool
	linkKey

	out  atomic.Pointer[xmppstream.Outbox] // takes stanzas; nil: none does
	busy atomic.Bool                       // something has passed since the sweeper looked

	mu      sync.Mutex
	running bool               // a goroutine runs run
	sender  stanza.JID         // for whom it began to; zero: for a question, or there has been a stream
	gone    bool               // not in the pool any more
	up      *outStream         // that out belongs to; nil: none
	adopted *xmppstream.Outbox // of the remote server's stream; nil: none
	both    bool               // the remote server may send on a stream of ours
	offer   *xmppstream.Outbox // to be adopted if that stream comes to nothing; nil: none
	carry   []leftover         // to be sent before what is in out, oldest first
	asks    []*question        // questions for the remote server
	reader  *xmppstream.TCP    // whose reader can be woken; nil: none
	barren  int                // streams in sequence that have taken nothing
	back    backoff
	quiet   time.Time // since when nothing has passed, as far as is known
}

// leftover is what an outbox has not sent. settle is called when it is in other
// hands.
type leftover struct {
	stanzas []*stanza.Stanza
	settle  func()
}

// deliver gives a stanza to the stream of the moment, and reports whether there is
// one that took it.
func (l *link) deliver(ctx context.Context, st *stanza.Stanza) bool {
	out := l.out.Load()
	if out == nil || out.Deliver(st) != nil {
		return false
	}
	l.took(ctx, out, st)
	return true
}

// took notes that a stanza is under way.
func (l *link) took(ctx context.Context, out *xmppstream.Outbox, st *stanza.Stanza) {
	l.touch()
	if st.Kind == stanza.Message && st.Type != stanza.TypeError {
		stanza.ReceiptOf(ctx).Via(out)
	}
}

// touch notes that something passes.
func (l *link) touch() {
	if !l.busy.Load() {
		l.busy.Store(true)
	}
}

// put takes a stanza, and sees to it that there will be a stream; gone: the link is
// not in use any more.
func (l *link) put(ctx context.Context, st *stanza.Stanza) (err *stanza.Error, gone bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return nil, true
	}
	out := l.out.Load()
	if out == nil {
		if err := l.back.refuses(time.Now()); err != nil {
			return err, false
		}
		if err := l.startFor(st.From.Bare()); err != nil {
			return err, false
		}
		out = l.await(xmppstream.Load{})
	}
	failed := out.Deliver(st)
	if errors.Is(failed, stanza.ErrClosed) { // its stream ends: this goes with the next
		out = l.await(out.Load())
		failed = out.Deliver(st)
	}
	if failed != nil {
		return errQueueFull, false
	}
	l.took(ctx, out, st)
	return nil, false
}

// await makes an outbox for what comes until there is a stream. before waits
// already. The caller holds mu.
func (l *link) await(before xmppstream.Load) *xmppstream.Outbox {
	c := l.p.srv.settings.Load()
	o := c.outbox(l.local)
	if o.Stanzas > 0 {
		o.Stanzas = max(1, o.Stanzas-before.Queued)
	}
	if o.Bytes > 0 {
		o.Bytes = max(1, o.Bytes-before.QueuedBytes)
	}
	out := xmppstream.NewOutbox(o, nil)
	l.out.Store(out)
	return out
}

// outbox returns the bounds of the streams of a local domain.
func (c *Settings) outbox(local string) *xmppstream.OutboxOptions {
	return &xmppstream.OutboxOptions{
		Stanzas: c.MaxFSMQueue.For(local), Bytes: c.MaxQueueBytes,
		SendTimeout: c.SendTimeout, Namespace: stanza.NSServer,
	}
}

// start sees to it that run runs and looks at what there is to do. It reports false
// when nothing may run any more. The caller holds mu.
func (l *link) start() bool {
	switch {
	case l.running:
		l.wake()
		return true
	case !l.p.begin():
		return false
	}
	l.running = true
	go l.run()
	return true
}

// startFor is start for somebody here who sends. The caller holds mu.
func (l *link) startFor(sender stanza.JID) *stanza.Error {
	counts := !l.running
	if counts && !l.p.openings.begin(sender) {
		return errTooManyOpenings
	}
	if !l.start() {
		l.p.openings.end(sender)
		return errStopping
	}
	if counts {
		l.sender = sender
	}
	return nil
}

// opened notes that the search for a stream is over for which a sender counts.
func (l *link) opened() {
	l.mu.Lock()
	sender := l.sender
	l.sender = stanza.JID{}
	l.mu.Unlock()
	if !sender.IsZero() {
		l.p.openings.end(sender)
	}
}

// run opens streams and serves them as long as there is something to do.
func (l *link) run() {
	defer l.p.running.Done()
	for {
		s, err := l.open()
		l.opened()
		switch {
		case err != nil:
			l.fail(err)
			return
		case s != nil:
			err := l.serve(s)
			l.ended(s, err)
		}
		switch more, tired := l.more(); {
		case tired:
			l.fail(&failure{step: stepStream, err: errBarren})
			return
		case !more:
			return
		}
	}
}

const (
	// maxBarren is how many streams in sequence may end while stanzas wait before
	// they have taken the first of them, or briefly after they were opened.
	maxBarren = 3
	briefly   = time.Second
)

var errBarren = errors.New("remote server ends the streams that it has accepted")

// more reports whether there is something to do for run; if not, it does not run
// any more, unless the remote server seems to be in trouble.
func (l *link) more() (more, tired bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.barren >= maxBarren {
		return false, true
	}
	l.running = l.wanted() || len(l.asks) > 0
	return l.running, false
}

// wanted reports whether stanzas wait for a stream of our own: an outbox without a
// transport is never empty. The caller holds mu.
func (l *link) wanted() bool { return l.up == nil && l.adopted == nil && l.out.Load() != nil }

// closed closes an outbox without a transport and returns what is in it.
func closed(out *xmppstream.Outbox) leftover {
	out.Drain(nil)
	rest := leftover{settle: out.Settle}
	for _, q := range out.Undelivered() {
		rest.stanzas = append(rest.stanzas, q.Stanza)
	}
	return rest
}

// waiting takes all that waits for a stream of our own. The caller holds mu.
func (l *link) waiting() []leftover {
	if !l.wanted() {
		return nil
	}
	list := append(l.carry, closed(l.out.Swap(nil)))
	l.carry = nil
	return list
}

// moved is what has to be done, without mu, after pour.
type moved struct {
	refused []*stanza.Stanza
	settle  []func()
}

// pour moves what waits to an outbox. If that ends meanwhile, the rest waits on.
// took is called when the first stanza has arrived; it may be nil. The caller holds
// mu.
func (l *link) pour(to *xmppstream.Outbox, took func()) (m moved) {
	list := l.waiting()
	for i, part := range list {
		confirmed := part.settle
		part.settle = func() { to.Confirm(confirmed) }
		for k, st := range part.stanzas {
			err := to.Deliver(st)
			if errors.Is(err, stanza.ErrClosed) {
				part.stanzas = part.stanzas[k:]
				l.carry = append([]leftover{part}, list[i+1:]...)
				return m
			}
			if err != nil {
				m.refused = append(m.refused, st)
			} else if took != nil {
				to.Confirm(took)
				took = nil
			}
		}
		m.settle = append(m.settle, part.settle)
	}
	return m
}

// done does what was left to be done after pour.
func (l *link) done(m moved) {
	l.returnAll(m.refused, errQueueFull)
	for _, settle := range m.settle {
		settle()
	}
}

// establish gives a stream that is ready what waits for it. It reports false if
// nothing does any more.
func (l *link) establish(s *outStream, c *Settings) bool {
	l.mu.Lock()
	if !l.wanted() {
		l.mu.Unlock()
		return false
	}
	waiting := l.held()
	bounds := c.outbox(l.local)
	s.out = xmppstream.NewOutbox(&xmppstream.OutboxOptions{}, nil) // it was bounded before
	if s.managed {
		o := xmppstream.AckOptions{Stanzas: bounds.Stanzas, Timeout: c.AckTimeout}
		if o.Stanzas > 0 {
			o.Stanzas = max(o.Stanzas, waiting)
		}
		s.acks = &acks{out: s.out}
		_ = s.out.Manage("", o) // the peer has agreed already: there is nothing to be sent
	}
	m := l.pour(s.out, func() { s.took.Store(true) })
	l.up, l.both = s, false
	l.out.Store(s.out)
	_ = s.out.Attach(s.t, bounds, "")
	l.back, l.quiet, s.since = backoff{}, time.Now(), time.Now()
	l.touch()
	l.sendAsks(func(xml string) error { return s.out.Send(xml) })
	l.p.streams.Add(1)
	if l.p.closed.Load() {
		l.close(s)
	}
	l.mu.Unlock()
	l.done(m)
	return true
}

// ended takes back what a stream has not sent: what was written in part or not
// acknowledged is returned, the rest goes with the next one.
func (l *link) ended(s *outStream, why error) {
	l.p.streams.Add(-1)
	l.logEnd(s, why)
	unsent, lost := l.reclaim(s.out)
	l.mu.Lock()
	l.up = nil
	switch brief := time.Since(s.since) < briefly; {
	case len(unsent) > 0 && (brief || lost == 0 && !s.took.Load()):
		l.barren++
	default:
		l.barren = 0
	}
	l.resume(s.out, leftover{unsent, s.out.Settle})
	l.reask()
	l.mu.Unlock()
	if len(unsent) == 0 {
		s.out.Settle()
	}
	l.fallBack()
}

// reclaim returns what an outbox that is closed has taken for this link and not
// written. What was written, at least in part, it returns to the senders.
func (l *link) reclaim(out *xmppstream.Outbox) (unsent []*stanza.Stanza, lost int) {
	var written []*stanza.Stanza
	for _, q := range out.Undelivered() {
		switch st := q.Stanza; {
		case st.From.Domain() != l.local || st.To.Domain() != l.remote: // of another link
		case q.Sent:
			written = append(written, st)
		default:
			unsent = append(unsent, st)
		}
	}
	l.returnAll(written, errLost)
	return unsent, len(written)
}

// goBothWays says that the remote server may send on our stream from now on, so that
// the stream is needed whatever streams that server opens meanwhile. It reports false
// when one of those is in use already.
func (l *link) goBothWays() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.both = l.adopted == nil
	return l.both
}

// resume lets what an outbox has not sent wait before all else. The caller holds
// mu.
func (l *link) resume(old *xmppstream.Outbox, rest leftover) {
	l.out.CompareAndSwap(old, nil)
	if len(rest.stanzas) == 0 {
		return
	}
	l.carry = slices.Insert(l.carry, 0, rest)
	if l.out.Load() == nil {
		l.await(xmppstream.Load{Queued: len(rest.stanzas)})
	}
}

// fail ends run: everything that waits is returned.
func (l *link) fail(f *failure) {
	answer := f.forSender()
	c := l.p.srv.settings.Load()
	l.mu.Lock()
	list := l.waiting()
	asks := l.asks
	l.asks, l.barren = nil, 0
	wait := l.back.fail(time.Now(), c.MaxRetryDelay, l.p.random(), answer)
	l.running = false
	l.mu.Unlock()

	if f.step != stepShutdown {
		l.p.trouble.Log(context.Background(), slog.LevelInfo, "no stream to a server",
			"local", l.local, "remote", l.remote, "peer", f.peer, "step", f.step, netserve.KeyErr, f.err, "retry_in", wait)
	}
	for _, a := range asks {
		a.done <- f.forPeer()
	}
	for _, part := range list {
		l.returnAll(part.stanzas, answer)
		part.settle()
	}
}

// returnAll returns stanzas to their senders.
func (l *link) returnAll(list []*stanza.Stanza, why *stanza.Error) {
	if len(list) > 0 && l.p.closed.Load() {
		l.p.unsent.Add(int64(len(list)))
	}
	for _, st := range list {
		err := netserve.Guard(func() error { return l.p.giveBack(context.Background(), st, why) })
		if err != nil {
			l.p.trouble.Log(context.Background(), slog.LevelError, "a stanza was not returned", "from", st.From, "to", st.To, netserve.KeyErr, err)
		}
	}
}

// closeIfIdle closes the stream if nothing has passed for long. It reports whether
// the link seems to be of no use.
func (l *link) closeIfIdle(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy.Swap(false) {
		l.quiet = now
	}
	if l.up == nil {
		return l.useless(now)
	}
	timeout := l.p.srv.settings.Load().Timeout.For(l.local)
	load := l.up.out.Load()
	if timeout > 0 && now.Sub(l.quiet) >= timeout && load.Queued+load.Unacked+len(l.asks) == 0 {
		l.up.out.Kick(nil) // what comes now waits for the next stream
	}
	return false
}

// hangUp closes the stream. What has not been sent waits for the next one.
func (l *link) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.up != nil {
		l.up.out.Kick(nil)
	}
}

// useless reports whether nothing would be lost with a link. The caller holds mu.
func (l *link) useless(now time.Time) bool { return l.rests() && now.After(l.back.forget) }

// rests reports whether nothing happens on a link. The caller holds mu.
func (l *link) rests() bool { return !l.running && l.adopted == nil && l.out.Load() == nil }

// finish ends the link's stream once what is queued has been sent, and all
// questions at once.
func (l *link) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.asks {
		a.done <- errStopping
	}
	l.asks = nil
	l.wake()
	if l.up != nil {
		l.close(l.up)
	}
}

// close closes a stream once what is queued has arrived, or when time is up. The
// caller holds mu.
func (l *link) close(s *outStream) {
	arrived := make(chan struct{})
	l.p.running.Go(func() {
		s.out.Confirm(func() { close(arrived) })
		select {
		case <-arrived:
			if s.acks != nil {
				s.acks.last()
			}
			s.out.Kick(nil)
		case <-l.p.ctx.Done():
			s.out.Evict(xmppstream.ErrShutdown)
		}
	})
}

// queued returns how many stanzas wait.
func (l *link) queued() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held()
}

// held is queued for whoever holds mu.
func (l *link) held() (n int) {
	for _, part := range l.carry {
		n += len(part.stanzas)
	}
	if out := l.out.Load(); out != nil && out != l.adopted {
		n += out.Load().Queued
	}
	return n
}
