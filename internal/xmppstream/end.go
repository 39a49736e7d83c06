package xmppstream

import (
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

const (
	// endTimeout bounds the writes of an outbox that is ending, where nothing
	// else does.
	endTimeout = 5 * time.Second
	// evictTimeout is how long a write may still take that is under way when
	// another peer takes the place of this one.
	evictTimeout = time.Second
)

// Kick ends the stream with an error, as Close does, and returns at once: nothing
// more is taken, what is queued gets the send timeout to be written, at most
// 5 s in all. The stream's reader then gets an error. Without a transport there
// is nobody to tell: then it is up to the caller to call Close. After Close or
// another Kick it has no effect.
func (b *Outbox) Kick(reason *stanza.StreamError) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(reason, min(b.patience(), endTimeout))
}

// Evict is Kick for a peer whose place somebody else has taken. What is queued
// is not written any more: it waits for Undelivered. A write that is under way
// may take one more second.
func (b *Outbox) Evict(reason *stanza.StreamError) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == outboxOpen {
		b.fate().evicted = true
	}
	b.end(reason, evictTimeout)
}

// Drain takes no more, writes what is queued and waits until that is done: at
// most the send timeout (5 s if there is none). Then the transport is closed
// with reason (nil: in order), for which only Close waits. After Kick, Evict or
// a failed write Drain only waits.
func (b *Outbox) Drain(reason *stanza.StreamError) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(reason, b.patience())
	b.wait()
}

// Close is Drain, and then waits for as long as Transport.Close takes. It returns
// the error of the write that failed.
func (b *Outbox) Close(reason *stanza.StreamError) error {
	b.Drain(reason)
	b.writing.Wait()
	return b.Err()
}

// patience is how long the last writes may take. The caller holds mu.
func (b *Outbox) patience() time.Duration {
	if b.o.SendTimeout > 0 {
		return b.o.SendTimeout
	}
	return endTimeout
}

// end takes no more. What is still to be written has so much time. The caller
// holds mu.
func (b *Outbox) end(reason *stanza.StreamError, timeout time.Duration) {
	if b.state != outboxOpen {
		return
	}
	b.state = outboxClosing
	over := b.fate()
	over.reason = reason
	if b.t == nil {
		return
	}
	over.until = time.Now().Add(timeout)
	_ = b.t.SetWriteDeadline(over.until) // for a write that waits already
	b.start()
}
