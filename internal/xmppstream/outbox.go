package xmppstream

import (
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// OutboxOptions are the bounds of an Outbox.
type OutboxOptions struct {
	// Stanzas and Bytes bound what is queued and not yet written, each; 0: no
	// bound. An empty queue takes one stanza of any size.
	Stanzas int
	Bytes   int
	// SendTimeout is how long the peer may take to accept one batch; 0: no
	// bound.
	SendTimeout time.Duration
	// Namespace is written on stanzas where the transport has each stand alone;
	// "": stanza.NSClient.
	Namespace string
	// OnFail hears once of the write that failed. It runs in the goroutine that
	// writes, after the outbox has closed the transport, and must not wait for
	// the outbox. May be nil.
	OnFail func(err error)
}

// Outbox is the queue of what goes out on one stream. It implements
// stanza.Sink. Deliver, Send and Kick are safe for concurrent use and never
// block. A goroutine writes while there is something to write; whoever made the
// outbox calls Close, which waits for it. From the first Deliver or Send on,
// nothing else may write to the transport.
//
// What is queued is written in batches: one buffer, one Write, one deadline.
// An outbox with nothing to write holds no buffer, timer or goroutine.
type Outbox struct {
	t       stanza.Transport
	o       OutboxOptions
	writing sync.WaitGroup // the flusher

	mu     sync.Mutex // never held while writing
	state  outboxState
	work   *workspace // nil: no flusher is running
	queue  []outgoing // not yet taken by the flusher
	count  int        // taken or not, until written
	bytes  int        // the same
	until  time.Time  // no write may take longer, when ending
	reason *stanza.StreamError
	err    error            // the write that failed
	lost   []*stanza.Stanza // what will not be written, oldest first
}

type outboxState uint8

const (
	outboxOpen    outboxState = iota
	outboxClosing             // takes no more, writes the rest
	outboxFailed              // a write failed
)

// outgoing is one element of the queue: a stanza, or else XML.
type outgoing struct {
	stanza *stanza.Stanza
	xml    string
}

func (e outgoing) size() int {
	if e.stanza != nil {
		return e.stanza.Size()
	}
	return len(e.xml)
}

// NewOutbox returns the outbox of a transport. It closes the transport in
// Close, after Kick, and after a write that failed.
func NewOutbox(t stanza.Transport, o OutboxOptions) *Outbox {
	if o.Namespace == "" {
		o.Namespace = stanza.NSClient
	}
	return &Outbox{t: t, o: o}
}

// Deliver queues a stanza. It returns stanza.ErrQueueFull when a bound has been
// reached, stanza.ErrClosed after Close, Kick or a failed write.
func (b *Outbox) Deliver(s *stanza.Stanza) error { return b.add(outgoing{stanza: s}) }

// Send queues XML that is no stanza: one complete element. Its errors are those
// of Deliver.
func (b *Outbox) Send(xml string) error { return b.add(outgoing{xml: xml}) }

func (b *Outbox) add(e outgoing) error {
	size := e.size()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != outboxOpen {
		return stanza.ErrClosed
	}
	if b.count > 0 && (exceeds(b.count+1, b.o.Stanzas) || exceeds(b.bytes+size, b.o.Bytes)) {
		return stanza.ErrQueueFull
	}
	b.count++
	b.bytes += size
	b.start()
	b.queue = append(b.queue, e)
	return nil
}

func exceeds(n, bound int) bool { return bound > 0 && n > bound }

// start makes sure that the flusher runs. The caller holds mu.
func (b *Outbox) start() {
	if b.work == nil {
		b.work = workspaces.Get().(*workspace)
		b.queue = b.work.spare
		b.writing.Go(b.flush)
	}
}

// Kick ends the stream with an error, as Close does, and returns at once: nothing
// more is taken, what is queued gets the send timeout to be written, at most
// 5 s in all. The stream's reader then gets an error. After Close or another
// Kick it has no effect.
func (b *Outbox) Kick(reason *stanza.StreamError) {
	timeout := endTimeout
	if b.o.SendTimeout > 0 {
		timeout = min(timeout, b.o.SendTimeout)
	}
	b.end(reason, timeout)
}

// Close takes no more, writes what is queued, closes the transport with reason
// (nil: in order) and waits until that is done: at most the send timeout (5 s
// if there is none) plus the time that Transport.Close takes. After Kick or a
// failed write it only waits. It returns the error of the write that failed.
func (b *Outbox) Close(reason *stanza.StreamError) error {
	timeout := b.o.SendTimeout
	if timeout <= 0 {
		timeout = endTimeout
	}
	b.end(reason, timeout)
	b.writing.Wait()
	return b.Err()
}

// endTimeout bounds the writes of an outbox that is ending.
const endTimeout = 5 * time.Second

func (b *Outbox) end(reason *stanza.StreamError, timeout time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != outboxOpen {
		return
	}
	b.state, b.reason = outboxClosing, reason
	b.until = time.Now().Add(timeout)
	_ = b.t.SetWriteDeadline(b.until) // for a write that waits already
	b.start()
}

// Err returns the error of the write that failed, nil when none did.
func (b *Outbox) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Ending reports whether Close, Kick or a failed write has ended the outbox.
func (b *Outbox) Ending() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state != outboxOpen
}

// Reason returns what Kick or Close gave, nil before.
func (b *Outbox) Reason() *stanza.StreamError {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reason
}

// Undelivered returns the stanzas that were taken and did not reach the
// connection, oldest first: all that were not in a batch whose Write returned
// nil. Call it after Close.
func (b *Outbox) Undelivered() []*stanza.Stanza {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}
