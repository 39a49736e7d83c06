package xmppstream

import (
	"iter"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// batchBytes is where a batch ends, unless a single element is bigger.
const batchBytes = 64 << 10

// What a workspace may keep for its next user.
const (
	keepBytes   = 2 * batchBytes
	keepEntries = 4096
)

// workspace is what a flusher needs while it runs. The outbox appends to one
// list of entries while the flusher works off the other.
type workspace struct {
	t         stanza.Transport
	namespace string

	taken []outgoing // being worked off; the batch is from:next
	from  int
	next  int
	spare []outgoing // empty, for the outbox

	buf   []byte // the batch
	ends  []int
	plain int      // stanzas in the batch that are done when it is written
	size  int      // of what is, as it was counted in the outbox
	kept  []uint64 // keys of stanzas in the batch

	idle chan struct{} // closed when the outbox has no flusher any more; nil: nobody waits

	managed  bool // the outbox has acks that concern what is taken
	enabling bool // the batch makes the stream a managed one
	asking   bool // it ends with a request for acknowledgement
}

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

// farewell is how a flusher closes the transport; without one it does not.
type farewell struct {
	t      stanza.Transport
	reason *stanza.StreamError
}

// flush writes what is queued and returns when nothing is left, or when the
// outbox ended; then it closes the transport. A panic breaks the connection.
//
// Its frame and those of what it calls are small: with more of a stack a
// goroutine that lives for one batch costs three times as much.
func (b *Outbox) flush() {
	w := b.work
	var last farewell
	defer b.flushed(w, &last)
	for b.more(w, &last) {
		w.encode(w.namespace)
		if w.managed {
			b.number(w)
		}
		if err := w.t.Write(stanza.Batch{Bytes: w.buf, Ends: w.ends}); err != nil {
			last = b.fail(w, err)
			return
		}
	}
}

// flushed is deferred by flush.
func (b *Outbox) flushed(w *workspace, last *farewell) {
	defer b.writing.Done()
	if v := recover(); v != nil {
		*last = b.panicked(w, &netserve.PanicError{Value: v, Stack: debug.Stack()})
	}
	if last.t != nil {
		b.close(*last)
	}
}

// close closes the transport of a flusher that is done.
func (b *Outbox) close(last farewell) {
	err := netserve.Guard(func() error {
		_ = last.t.SetWriteDeadline(time.Time{})
		_ = last.t.Close(last.reason)
		return nil
	})
	if err != nil {
		b.note(err)
	}
}

// more counts off the batch that was written and sees to the next. It reports
// false when the flusher's work is done but for last.
func (b *Outbox) more(w *workspace, last *farewell) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrote(w)
	if b.over != nil && b.over.evicted {
		b.reclaim(w)
	}
	if w.next == len(w.taken) {
		w.taken, b.queue, w.from, w.next = b.queue, w.taken[:0], 0, 0
	}
	switch {
	case b.t == nil: // Detach waits for us
		b.putBack(w)
		return false
	case b.over != nil && b.over.err != nil: // no answer to a request
		*last = b.broken(w, nil)
		return false
	case len(w.taken) > 0 || b.hasAcks():
		w.managed = b.acks != nil // since wrote let mu go, it may be
		now := time.Now()
		b.times.note(b.taken, b.done, now)
		_ = w.t.SetWriteDeadline(b.deadline(now))
		return true
	}
	// A deadline that passed while nothing is written would still break what
	// others write, such as TLS that answers an update of keys.
	_ = w.t.SetWriteDeadline(time.Time{})
	if b.state != outboxOpen {
		*last = farewell{w.t, b.why().reason}
	}
	b.release(w)
	return false
}

// wrote counts off a batch. It lets mu go for a moment if somebody waits for
// that.
func (b *Outbox) wrote(w *workspace) {
	b.count -= int32(w.next - w.from)
	b.bytes -= w.size
	b.done += uint64(w.plain)
	if a := b.acks; a != nil {
		if w.enabling {
			a.on, a.enabled = true, ""
		}
		if w.asking && a.requested && a.o.Timeout > 0 {
			b.wakeIn(a.o.Timeout)
		}
	}
	var kept []uint64
	if len(w.kept) > 0 {
		kept = append(kept, w.kept...)
	}
	w.done()
	list := b.reached()
	if list == nil && kept == nil {
		return
	}
	b.tellUnlocked(kept, list)
}

// tellUnlocked lets mu go and tells those who wait.
func (b *Outbox) tellUnlocked(kept []uint64, list []marker) {
	b.mu.Unlock()
	defer b.mu.Lock() // after a panic, too
	b.tell(kept, list)
}

// deadline returns when the next batch must be written.
func (b *Outbox) deadline(now time.Time) time.Time {
	var until time.Time
	if b.over != nil {
		until = b.over.until
	}
	if b.o.SendTimeout <= 0 {
		return until
	}
	d := now.Add(b.o.SendTimeout)
	if !until.IsZero() && until.Before(d) {
		return until
	}
	return d
}

// fail ends the connection after a write that failed.
func (b *Outbox) fail(w *workspace, err error) farewell {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lose(w)
	if b.t == nil { // the connection was given up anyway
		b.fate().err = err
		b.putBack(w)
		return farewell{}
	}
	return b.broken(w, err)
}

// lose notes that the batch was not written. The caller holds mu.
func (b *Outbox) lose(w *workspace) {
	over := b.fate()
	for _, e := range w.taken[w.from:w.next] {
		if e.stanza != nil && w.plain > 0 {
			over.lost = append(over.lost, e.stanza)
			w.plain--
		}
	}
	w.from = w.next
}

// broken gives up a connection for err, or what has been found out before. The
// caller holds mu.
func (b *Outbox) broken(w *workspace, err error) farewell {
	over := b.fate()
	last := farewell{w.t, over.reason}
	if over.err == errNoAnswer {
		last.reason = errNoAnswer
	} else {
		over.err = err
	}
	if b.state == outboxOpen && b.acks.resumable() {
		b.t = nil
	} else {
		b.state = outboxFailed
	}
	b.putBack(w)
	return last
}

// panicked ends an outbox whose flusher panicked: for good, as the next one would
// have the same before it.
func (b *Outbox) panicked(w *workspace, err error) farewell {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lose(w)
	reason := &stanza.StreamError{Condition: stanza.StreamInternalServerError, Err: err}
	b.fate().err = reason
	b.state = outboxFailed
	t := b.t // nil: the connection was given up anyway
	b.putBack(w)
	return farewell{t, reason}
}

// note keeps what has gone wrong at the very end.
func (b *Outbox) note(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if over := b.fate(); b.state != outboxOpen && over.err == nil {
		over.err = err
	}
}

// putBack ends the flusher's work: the stanzas that it has not begun to write
// are the outbox's again. Those that an earlier connection may have delivered
// wait for their acknowledgement, again. The caller holds mu.
func (b *Outbox) putBack(w *workspace) {
	b.times.note(b.taken, b.done, time.Now())
	var rest []outgoing
	size := 0
	for s := range b.unsent(w) {
		rest = append(rest, outgoing{stanza: s})
		size += s.Size()
	}
	b.release(w)
	if a := b.acks; a != nil {
		size += a.window.bytes
		for a.window.sent != a.window.top && len(rest) > 0 {
			a.window.push(rest[0].stanza)
			rest = rest[1:]
		}
	}
	b.queue, b.count, b.bytes = rest, int32(len(rest)), size
}

// unsent has the stanzas that the flusher has not begun to write. The caller
// holds mu.
func (b *Outbox) unsent(w *workspace) iter.Seq[*stanza.Stanza] {
	return func(yield func(*stanza.Stanza) bool) {
		for _, list := range [][]outgoing{w.taken[w.next:], b.queue} {
			for _, e := range list {
				if e.stanza != nil && !yield(e.stanza) {
					return
				}
			}
		}
	}
}

// reclaim takes from the flusher what it has not begun to write. The caller
// holds mu.
func (b *Outbox) reclaim(w *workspace) {
	b.times.note(b.taken, b.done, time.Now())
	b.over.rest = slices.AppendSeq(b.over.rest, b.unsent(w))
	clear(w.taken)
	clear(b.queue)
	w.taken, b.queue = w.taken[:0], b.queue[:0]
	w.from, w.next = 0, 0
}

// release takes the workspace from the outbox and puts it back.
func (b *Outbox) release(w *workspace) {
	if w.idle != nil {
		close(w.idle)
	}
	clear(w.taken)
	clear(b.queue)
	*w = workspace{
		taken: keepIf(w.taken, keepEntries),
		spare: keepIf(b.queue, keepEntries),
		buf:   keepIf(w.buf, keepBytes),
		ends:  keepIf(w.ends, keepEntries),
		kept:  keepIf(w.kept, keepEntries),
	}
	b.queue, b.work = nil, nil
	workspaces.Put(w)
}

// wait waits until the flusher has no more to do with the queue. The caller
// holds mu, which is let go meanwhile.
func (b *Outbox) wait() {
	for b.work != nil {
		if b.work.idle == nil {
			b.work.idle = make(chan struct{})
		}
		idle := b.work.idle
		b.mu.Unlock()
		<-idle
		b.mu.Lock()
	}
}

func keepIf[T any](s []T, most int) []T {
	if cap(s) > most {
		return nil
	}
	return s[:0]
}

// encode makes the next batch of the entries from next on.
func (w *workspace) encode(ns string) {
	switch {
	case !w.t.Standalone():
		ns = ""
	case ns == "":
		ns = stanza.NSClient
	}
	for w.next < len(w.taken) {
		e := w.taken[w.next]
		size := e.size()
		if len(w.buf) > 0 && len(w.buf)+size > batchBytes {
			return
		}
		if e.stanza != nil {
			w.buf = e.stanza.AppendTo(w.buf, ns)
			w.plain++
			if e.stanza.Kept != 0 {
				w.kept = append(w.kept, e.stanza.Kept)
			}
		} else {
			w.buf = append(w.buf, e.xml...)
		}
		w.ends = append(w.ends, len(w.buf))
		w.size += size
		w.next++
	}
}

// done forgets the batch; the stanzas in it need not be kept any longer.
func (w *workspace) done() {
	clear(w.taken[w.from:w.next])
	w.from = w.next
	w.buf, w.ends, w.kept = w.buf[:0], w.ends[:0], w.kept[:0]
	w.plain, w.size, w.enabling, w.asking = 0, 0, false, false
}
