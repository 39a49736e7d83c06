package xmppstream

import "github.com/tidewaiter/tidewaiter/listen/stanza"

var _ stanza.Confirmer = (*Outbox)(nil)

// marker waits for a stanza to be done.
type marker struct {
	at uint64
	f  func()
}

// Confirm implements stanza.Confirmer. After the end of the stream f waits for
// Settle. It is never called for what Abandon gave up.
func (b *Outbox) Confirm(f func()) {
	b.mu.Lock()
	if b.loose > b.done {
		if b.after == afterNothing {
			b.marks = append(b.marks, marker{b.loose, f})
		}
		b.mu.Unlock()
		return
	}
	b.mu.Unlock()
	f()
}

// reached takes out the markers whose stanza is done. The caller holds mu, and
// lets it go before it calls run with them: what they call takes the locks of
// other outboxes.
func (b *Outbox) reached() []marker {
	n := 0
	for n < len(b.marks) && b.marks[n].at <= b.done {
		n++
	}
	if n == 0 {
		return nil
	}
	list := b.marks[:n:n]
	b.marks = b.marks[n:]
	if len(b.marks) == 0 {
		b.marks = nil
	}
	return list
}

// run calls markers: also those after one that panics, which are other peers'.
func run(list []marker) {
	defer func() {
		if len(list) > 0 {
			run(list)
		}
	}()
	for len(list) > 0 {
		f := list[0].f
		list = list[1:]
		f()
	}
}

// aftermath says what has become of the stanzas that were not delivered.
type aftermath uint8

const (
	afterNothing aftermath = iota // the outbox has them
	afterSettle
	afterAbandon
)

// Settle says that what Undelivered returned is in other hands, and forgets it.
// Call it last.
func (b *Outbox) Settle() {
	b.mu.Lock()
	list := b.forget(afterSettle)
	b.done = b.taken
	b.mu.Unlock()
	run(list)
}

// Abandon is Settle where nobody answers for what was not delivered: it is never
// confirmed.
func (b *Outbox) Abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(afterAbandon)
}

// forget forgets what was not delivered, and returns who waits for it. The caller
// holds mu.
func (b *Outbox) forget(why aftermath) []marker {
	list := b.marks
	b.after, b.marks, b.queue = why, nil, nil
	if b.over != nil {
		b.over.lost, b.over.rest = nil, nil
	}
	b.count, b.bytes = 0, 0
	b.acks.restart()
	return list
}

// Waiting returns the stanzas that wait in an outbox without transport, oldest
// first.
func (b *Outbox) Waiting() []stanza.Queued {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.times.of(b.waiting(), b.done+1)
}

// Replace puts the copies of a store in the places of what Waiting returned
// since the last Attach. It reports false, and does nothing, when there are not
// as many of them. Their times stay.
func (b *Outbox) Replace(waiting []stanza.Queued, with []*stanza.Stanza) bool {
	if len(with) != len(waiting) {
		return false
	}
	b.mu.Lock()
	if b.after != afterNothing {
		b.mu.Unlock()
		return true
	}
	i := 0
	put := func(at **stanza.Stanza) {
		if i < len(with) {
			b.bytes += with[i].Size() - (*at).Size()
			*at = with[i]
			i++
		}
	}
	if b.acks != nil {
		w := &b.acks.window
		for k := range w.stanzas() {
			before := w.stanzas()[k].Size()
			put(&w.stanzas()[k])
			w.bytes += w.stanzas()[k].Size() - before
		}
	}
	for k := range b.queue {
		if b.queue[k].stanza != nil {
			put(&b.queue[k].stanza)
		}
	}
	b.remark()
	list := b.reached()
	b.mu.Unlock()
	run(list)
	return true
}

// remark moves each marker, and loose, to the last stanza before it that no
// store keeps. The caller holds mu; there is no flusher.
func (b *Outbox) remark() {
	at, last, next := b.done, uint64(0), 0
	loose := b.loose
	for _, s := range b.waiting() {
		if at++; s.Kept == 0 {
			last = at
		}
		for ; next < len(b.marks) && b.marks[next].at == at; next++ {
			b.marks[next].at = last
		}
		if at == loose {
			b.loose = last
		}
	}
}
