package xmppstream

import "github.com/tidewaiter/tidewaiter/listen/stanza"

var _ stanza.Confirmer = (*Outbox)(nil)

// marker waits for a stanza to be done.
type marker struct {
	at uint64
	f  func()
}

// Confirm implements stanza.Confirmer. After the end of the stream f waits for
// Settle.
func (b *Outbox) Confirm(f func()) {
	b.mu.Lock()
	if !b.told && b.loose > b.done {
		b.marks = append(b.marks, marker{b.loose, f})
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

func run(list []marker) {
	for _, m := range list {
		m.f()
	}
}

// Settle says that what Undelivered returned is in other hands, and forgets it.
// Call it last.
func (b *Outbox) Settle() {
	b.mu.Lock()
	list := b.marks
	b.told, b.marks, b.queue = true, nil, nil
	if b.over != nil {
		b.over.lost = nil
	}
	b.count, b.bytes, b.done = 0, 0, b.taken
	b.acks.restart()
	b.mu.Unlock()
	run(list)
}

// Waiting returns the stanzas that wait in an outbox without transport, oldest
// first.
func (b *Outbox) Waiting() []*stanza.Stanza {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting()
}

// Replace puts the copies of a store in the places of what Waiting returned
// since the last Attach. It reports false, and does nothing, when there are not
// as many of them.
func (b *Outbox) Replace(waiting, with []*stanza.Stanza) bool {
	if len(with) != len(waiting) {
		return false
	}
	b.mu.Lock()
	if b.told {
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
