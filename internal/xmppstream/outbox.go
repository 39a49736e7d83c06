package xmppstream

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// OutboxOptions are the bounds of an Outbox.
type OutboxOptions struct {
	// Stanzas and Bytes bound what is queued and not yet written, each; 0: no
	// bound. Bytes counts what is not acknowledged, too. An empty queue takes one
	// stanza of any size.
	Stanzas int
	Bytes   int
	// SendTimeout is how long the peer may take to accept one batch; 0: no
	// bound.
	SendTimeout time.Duration
	// Namespace is written on stanzas where the transport has each stand alone;
	// "": stanza.NSClient.
	Namespace string
}

// Owner hears from an Outbox. May be nil.
type Owner interface {
	// Arrived says that stanzas that a store keeps (Stanza.Kept) have been
	// acknowledged by the peer or, on a stream without acknowledgements, written.
	// It must not block.
	Arrived(kept []uint64)
}

// Outbox is the queue of what goes out on one stream. It implements
// stanza.Confirmer. Its methods are safe for concurrent use; all but Close,
// Drain and Detach never block. A goroutine writes while there is something to
// write; whoever made the outbox calls Close, which waits for it.
//
// It begins without a transport: what is delivered waits for Attach. From then
// on nothing else may write to the transport.
//
// What is queued is written in batches: one buffer, one Write, one deadline.
// An outbox with nothing to write holds no buffer, running timer or goroutine.
type Outbox struct {
	owner   Owner
	writing sync.WaitGroup // the flusher, until it has closed the transport

	mu    sync.Mutex // never held while writing
	o     *OutboxOptions
	t     stanza.Transport // nil: none, what is taken waits
	state outboxState
	after aftermath
	count int32      // elements in queue or taken from it, until written
	bytes int        // the same, and what is not acknowledged
	queue []outgoing // not yet taken by the flusher
	work  *workspace // nil: no flusher is running, but for closing the transport
	over  *ending    // nil: nothing has gone wrong so far
	acks  *acks      // nil: the stream is not managed

	// Stanzas are counted from the first on; they get done in this order.
	taken uint64
	done  uint64   // written, or acknowledged on a managed stream
	loose uint64   // the last one that no store keeps
	marks []marker // in the order of at
	times times
}

type outboxState uint8

const (
	outboxOpen    outboxState = iota
	outboxClosing             // takes no more, writes the rest
	outboxFailed              // the connection is broken
)

// ending is what an outbox knows when it ends, or its connection does.
type ending struct {
	until   time.Time           // no write may take longer
	reason  *stanza.StreamError // of Kick, Evict or Close
	evicted bool                // what is queued is not written any more
	err     error               // what broke the connection
	lost    []*stanza.Stanza    // of a batch that was not written, before those of acks
	rest    []*stanza.Stanza    // that were queued when it was evicted, after those of acks
}

// fate returns over, made if need be. The caller holds mu.
func (b *Outbox) fate() *ending {
	if b.over == nil {
		b.over = new(ending)
	}
	return b.over
}

// why returns over for reading: empty if there is none. The caller holds mu.
func (b *Outbox) why() ending {
	if b.over == nil {
		return ending{}
	}
	return *b.over
}

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

// NewOutbox returns an outbox. The options are shared, not copied, and must not
// change. owner may be nil.
func NewOutbox(o *OutboxOptions, owner Owner) *Outbox {
	return &Outbox{o: o, owner: owner}
}

// Attach gives an outbox the transport that it writes to, and closes after Kick,
// in Close and when it breaks. first, XML that is no stanza of a managed stream,
// goes out before all else; may be "". After Detach it is followed by the stanzas that the
// peer has not acknowledged. It returns stanza.ErrClosed after Close or Kick.
func (b *Outbox) Attach(t stanza.Transport, o *OutboxOptions, first string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != outboxOpen {
		return stanza.ErrClosed
	}
	b.t, b.o, b.over = t, o, nil
	again := b.acks.restart()
	if first == "" && len(again) == 0 && len(b.queue) == 0 {
		return nil
	}
	waiting := b.queue
	b.queue = nil
	b.start()
	if first != "" {
		b.count++
		b.bytes += len(first)
		b.queue = append(b.queue, outgoing{xml: first})
	}
	b.count += int32(len(again))
	for _, s := range again {
		b.queue = append(b.queue, outgoing{stanza: s})
	}
	b.queue = append(b.queue, waiting...)
	return nil
}

// Deliver queues a stanza. It returns stanza.ErrQueueFull when a bound has been
// reached, stanza.ErrClosed after Close, Kick or a failed write.
func (b *Outbox) Deliver(s *stanza.Stanza) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.add(outgoing{stanza: s}, s.Size()); err != nil {
		return err
	}
	b.taken++
	if s.Kept == 0 {
		b.loose = b.taken
	}
	if b.t == nil { // else the flusher looks at the clock, once for many
		b.times.note(b.taken, b.done, time.Now())
	}
	return nil
}

// Room returns how many stanzas, and how many bytes of them (Stanza.Size),
// Deliver would take now, if nobody else delivered or sent anything meanwhile;
// math.MaxInt where there is no bound. Where bytes is not 0 and nothing at all
// waits, one stanza may be bigger. Both are 0 after Close, Kick or a failed write.
func (b *Outbox) Room() (stanzas, bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != outboxOpen {
		return 0, 0
	}
	stanzas, bytes = room(int(b.count), b.o.Stanzas), room(b.bytes, b.o.Bytes)
	if b.acks != nil {
		stanzas = min(stanzas, room(int(b.taken-b.done), b.acks.o.Stanzas))
	}
	if bytes == 0 {
		stanzas = 0
	}
	return stanzas, bytes
}

// room returns what is left of a bound; 0: there is none.
func room(used, bound int) int {
	if bound <= 0 {
		return math.MaxInt
	}
	return max(bound-used, 0)
}

// Send queues XML that is no stanza: one complete element. Without a transport
// it is forgotten. Its errors are those of Deliver.
func (b *Outbox) Send(xml string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.t == nil && b.state == outboxOpen {
		return nil
	}
	return b.add(outgoing{xml: xml}, len(xml))
}

// add queues an element. The caller holds mu.
func (b *Outbox) add(e outgoing, size int) error {
	if b.state != outboxOpen {
		return stanza.ErrClosed
	}
	if b.count > 0 && exceeds(int(b.count)+1, b.o.Stanzas) || b.bytes > 0 && exceeds(b.bytes+size, b.o.Bytes) {
		return stanza.ErrQueueFull
	}
	if b.acks != nil && e.stanza != nil && exceeds(int(b.taken-b.done)+1, b.acks.o.Stanzas) {
		return stanza.ErrQueueFull
	}
	b.count++
	b.bytes += size
	b.start()
	b.queue = append(b.queue, e)
	return nil
}

func exceeds(n, bound int) bool { return bound > 0 && n > bound }

// start makes sure that the flusher runs, if there is a transport. The caller
// holds mu.
func (b *Outbox) start() {
	if b.work != nil || b.t == nil {
		return
	}
	b.work = workspaces.Get().(*workspace)
	b.work.t, b.work.namespace = b.t, b.o.Namespace
	if b.queue == nil {
		b.queue = b.work.spare
	}
	b.writing.Add(1)
	go b.flush()
}

// Err returns what broke the connection, nil when nothing did.
func (b *Outbox) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.why().err
}

// Ending reports whether Close, Kick or a failed write has ended the outbox.
func (b *Outbox) Ending() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state != outboxOpen
}

// Attached reports whether the outbox has a transport.
func (b *Outbox) Attached() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.t != nil
}

// Reason returns what Kick or Close gave, nil before.
func (b *Outbox) Reason() *stanza.StreamError {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.why().reason
}

// Undelivered returns the stanzas that were taken and did not reach the peer,
// oldest first: all that were not in a batch whose Write returned nil, and on a
// managed stream all that were not acknowledged. Call it after Close or Drain,
// and then Settle.
func (b *Outbox) Undelivered() []stanza.Queued {
	b.mu.Lock()
	defer b.mu.Unlock()
	over := b.why()
	list := b.times.of(slices.Concat(over.lost, b.waiting(), over.rest), b.done+1)
	sent := len(over.lost)
	if b.acks != nil {
		sent += b.acks.window.len()
	}
	for i := range list[:sent] {
		list[i].Sent = true
	}
	return list
}

// waiting returns what is not done and can still be. The caller holds mu.
func (b *Outbox) waiting() []*stanza.Stanza {
	var list []*stanza.Stanza
	if b.acks != nil {
		list = append(list, b.acks.window.stanzas()...)
	}
	for _, e := range b.queue {
		if e.stanza != nil {
			list = append(list, e.stanza)
		}
	}
	return list
}

// Load is what an Outbox holds.
type Load struct {
	Queued, QueuedBytes   int    // not yet written
	Unacked, UnackedBytes int    // written and not acknowledged, in stanzas
	Requests              uint64 // acknowledgements asked for
}

// Load returns what the outbox holds now.
func (b *Outbox) Load() Load {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := Load{Queued: int(b.taken - b.done), QueuedBytes: b.bytes}
	if a := b.acks; a != nil {
		l.Unacked, l.UnackedBytes, l.Requests = a.window.len(), a.window.bytes, a.requests
		l.Queued -= l.Unacked
		l.QueuedBytes -= l.UnackedBytes
	}
	return l
}
