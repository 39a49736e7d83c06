package xmppstream

import (
	"sync"
	"time"

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

	managed  bool // the outbox has acks
	enabling bool // the batch makes the stream a managed one
	asking   bool // it ends with a request for acknowledgement
}

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

// flush writes what is queued and returns when nothing is left, or when the
// outbox ended; then it closes the transport.
func (b *Outbox) flush() {
	w := b.work
	for b.more(w) {
		w.encode(w.namespace)
		if w.managed {
			b.mu.Lock()
			b.number(w)
			b.mu.Unlock()
		}
		if err := w.t.Write(stanza.Batch{Bytes: w.buf, Ends: w.ends}); err != nil {
			b.fail(w, err)
			return
		}
	}
}

// more counts off the batch that was written and sees to the next. It reports
// false when the flusher's work is done.
func (b *Outbox) more(w *workspace) bool {
	b.mu.Lock()
	b.wrote(w)
	if w.next == len(w.taken) {
		w.taken, b.queue, w.from, w.next = b.queue, w.taken[:0], 0, 0
	}
	switch {
	case b.t == nil: // Detach waits for us
		b.putBack(w)
		b.mu.Unlock()
		return false
	case b.over != nil && b.over.err != nil: // no answer to a request
		b.broken(w, nil)
		return false
	case len(w.taken) > 0 || b.hasAcks():
		_ = w.t.SetWriteDeadline(b.deadline())
		b.mu.Unlock()
		return true
	}
	_ = w.t.SetWriteDeadline(time.Time{})
	open, reason := b.state == outboxOpen, b.why().reason
	t := w.t
	b.release(w)
	b.mu.Unlock()
	if !open {
		_ = t.Close(reason)
	}
	return false
}

// wrote counts off a batch. It lets mu go for a moment if somebody waits for
// that.
func (b *Outbox) wrote(w *workspace) {
	b.count -= w.next - w.from
	b.bytes -= w.size
	b.done += uint64(w.plain)
	if a := b.acks; a != nil {
		a.on = a.on || w.enabling
		if w.asking && a.requested && a.o.Timeout > 0 {
			b.wakeIn(a.o.Timeout)
		}
		w.managed = true
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
	b.mu.Unlock()
	b.arrived(kept)
	run(list)
	b.mu.Lock()
}

// deadline returns when the next batch must be written.
func (b *Outbox) deadline() time.Time {
	var until time.Time
	if b.over != nil {
		until = b.over.until
	}
	if b.o.SendTimeout <= 0 {
		return until
	}
	d := time.Now().Add(b.o.SendTimeout)
	if !until.IsZero() && until.Before(d) {
		return until
	}
	return d
}

// fail ends the connection after a write that failed.
func (b *Outbox) fail(w *workspace, err error) {
	b.mu.Lock()
	over := b.fate()
	for _, e := range w.taken[w.from:w.next] {
		if e.stanza != nil && w.plain > 0 {
			over.lost = append(over.lost, e.stanza)
			w.plain--
		}
	}
	w.from = w.next
	if b.t == nil { // the connection was given up anyway
		over.err = err
		b.putBack(w)
		b.mu.Unlock()
		return
	}
	b.broken(w, err)
}

// broken gives up a connection for err, or what has been found out before, and
// closes it. The caller holds mu, which it lets go.
func (b *Outbox) broken(w *workspace, err error) {
	over := b.fate()
	reason := over.reason
	if over.err == errNoAnswer {
		reason = errNoAnswer
	} else {
		over.err = err
	}
	if b.state == outboxOpen && b.acks.resumable() {
		b.t = nil
	} else {
		b.state = outboxFailed
	}
	t := w.t
	b.putBack(w)
	b.mu.Unlock()
	_ = t.SetWriteDeadline(time.Time{})
	_ = t.Close(reason)
}

// putBack ends the flusher's work: the stanzas that it has not begun to write
// are the outbox's again. Those that an earlier connection may have delivered
// wait for their acknowledgement, again. The caller holds mu.
func (b *Outbox) putBack(w *workspace) {
	var rest []outgoing
	size := 0
	for _, list := range [][]outgoing{w.taken[w.next:], b.queue} {
		for _, e := range list {
			if e.stanza != nil {
				rest = append(rest, e)
				size += e.size()
			}
		}
	}
	b.release(w)
	if a := b.acks; a != nil {
		size += a.window.bytes
		for a.window.sent != a.window.top && len(rest) > 0 {
			a.window.push(rest[0].stanza)
			rest = rest[1:]
		}
	}
	b.queue, b.count, b.bytes = rest, len(rest), size
}

// release takes the workspace from the outbox and puts it back.
func (b *Outbox) release(w *workspace) {
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
