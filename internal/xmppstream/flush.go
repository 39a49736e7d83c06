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
	taken []outgoing // being worked off, from next on
	next  int
	spare []outgoing // empty, for the outbox

	buf  []byte // the batch
	ends []int
	size int // of the batch, as it was counted in the outbox
}

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

// flush writes what is queued and returns when nothing is left, or when the
// outbox ended; then it closes the transport.
func (b *Outbox) flush() {
	w := b.work
	for b.more(w) {
		w.encode(b.t.Standalone(), b.o.Namespace)
		if err := b.t.Write(stanza.Batch{Bytes: w.buf, Ends: w.ends}); err != nil {
			b.fail(w, err)
			return
		}
	}
}

// more counts off the batch that was written and sees to the next. It reports
// false when the flusher's work is done.
func (b *Outbox) more(w *workspace) bool {
	b.mu.Lock()
	b.count -= len(w.ends)
	b.bytes -= w.size
	w.done()
	if w.next == len(w.taken) {
		w.taken, b.queue, w.next = b.queue, w.taken[:0], 0
	}
	if len(w.taken) > 0 {
		_ = b.t.SetWriteDeadline(b.deadline())
		b.mu.Unlock()
		return true
	}
	_ = b.t.SetWriteDeadline(time.Time{})
	if b.state == outboxOpen {
		b.release(w)
		b.mu.Unlock()
		return false
	}
	b.release(w)
	reason := b.reason
	b.mu.Unlock()
	_ = b.t.Close(reason)
	return false
}

// deadline returns when the next batch must be written.
func (b *Outbox) deadline() time.Time {
	if b.o.SendTimeout <= 0 {
		return b.until
	}
	d := time.Now().Add(b.o.SendTimeout)
	if !b.until.IsZero() && b.until.Before(d) {
		return b.until
	}
	return d
}

// fail ends the outbox after a write that failed.
func (b *Outbox) fail(w *workspace, err error) {
	b.mu.Lock()
	b.state, b.err = outboxFailed, err
	w.next -= len(w.ends) // the batch counts as not written
	b.dropRest(w)
	b.release(w)
	reason := b.reason
	b.mu.Unlock()
	_ = b.t.Close(reason)
	if b.o.OnFail != nil {
		b.o.OnFail(err)
	}
}

// dropRest moves everything that was not written to the undelivered.
func (b *Outbox) dropRest(w *workspace) {
	for _, list := range [][]outgoing{w.taken[w.next:], b.queue} {
		for _, e := range list {
			if e.stanza != nil {
				b.lost = append(b.lost, e.stanza)
			}
		}
	}
	b.count, b.bytes = 0, 0
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
func (w *workspace) encode(standalone bool, ns string) {
	if !standalone {
		ns = ""
	}
	for w.next < len(w.taken) {
		e := w.taken[w.next]
		size := e.size()
		if len(w.buf) > 0 && len(w.buf)+size > batchBytes {
			return
		}
		if e.stanza != nil {
			w.buf = e.stanza.AppendTo(w.buf, ns)
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
	clear(w.taken[w.next-len(w.ends) : w.next])
	w.buf, w.ends, w.size = w.buf[:0], w.ends[:0], 0
}
