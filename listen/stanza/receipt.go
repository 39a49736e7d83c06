package stanza

import (
	"context"
	"sync"
)

// Confirmer is a Sink that can tell when what it took has arrived.
type Confirmer interface {
	Sink

	// Confirm calls f once, when every stanza that Deliver took before has been
	// acknowledged by the peer (written, where the stream has no
	// acknowledgements), is in the care of a store (Stanza.Kept), or was handed
	// back to the host. It does not block; f may run within the call or later in
	// any goroutine, must not block and must not call the sink.
	Confirm(f func())
}

// Receipt collects what has to happen until the stanzas that one peer sent are
// safe, so that it is not told so before: an acknowledgement (XEP-0198) says
// that the server answers for a stanza, and a process that is killed answers
// for nothing that is only in its memory.
//
// Whoever routes a stanza finds the Receipt in the context and tells it of what
// is under way. The stream's owner asks by Mark. It is safe for concurrent use,
// and its zero value is ready.
type Receipt struct {
	mu    sync.Mutex
	via   []Confirmer // took stanzas since the last mark, each once
	open  *mark       // what is under way since the last mark; nil: nothing
	marks []*mark     // waiting, oldest first

	late    func() // of the last call of Mark while too many wait: it asks when one is done
	calling bool   // somebody works off marks
}

// mark is one call of Mark, or the part after the last one.
type mark struct {
	pending int
	f       func() // nil for the part after the last call
}

// Bounds of a Receipt.
const (
	// maxVia is how many sinks are remembered between two marks.
	maxVia = 16
	// MaxMarks is how many marks wait; another one takes the place of the last,
	// which asks nobody before there is room.
	MaxMarks = 32
)

type receiptKey struct{}

// Context returns a context in which ReceiptOf finds r.
func (r *Receipt) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, receiptKey{}, r)
}

// ReceiptOf returns the Receipt of a context, nil when there is none. The
// methods of a nil Receipt do nothing.
func ReceiptOf(ctx context.Context) *Receipt {
	r, _ := ctx.Value(receiptKey{}).(*Receipt)
	return r
}

// Via notes that a sink took a stanza: it is safe when the sink confirms it. A
// sink that is no Confirmer answers for what it takes.
func (r *Receipt) Via(s Sink) {
	if r == nil {
		return
	}
	c, ok := s.(Confirmer)
	if !ok {
		return
	}
	r.mu.Lock()
	for _, known := range r.via {
		if known == c {
			r.mu.Unlock()
			return
		}
	}
	var ask Confirmer
	var done func()
	if len(r.via) == maxVia { // its later stanzas are asked for again
		ask, done = r.via[0], r.begin()
		r.via = append(r.via[:0], r.via[1:]...)
	}
	r.via = append(r.via, c)
	r.mu.Unlock()
	if ask != nil {
		ask.Confirm(done)
	}
}

// Begin notes that something is under way, such as a write to a disk, and
// returns what must be called once when it is done.
func (r *Receipt) Begin() (done func()) {
	if r == nil {
		return func() {}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begin()
}

// begin is Begin for whoever holds mu.
func (r *Receipt) begin() (done func()) {
	if r.open == nil {
		r.open = new(mark)
	}
	m := r.open
	m.pending++
	return func() { r.finish(m) }
}

// Mark calls f once everything that the Receipt was told before is done, in the
// order of the calls, within the call or in the goroutine that comes last. f
// must not block and must not call the Receipt. When MaxMarks wait, the last of
// them is dropped in favour of this one, which covers it.
func (r *Receipt) Mark(f func()) {
	if r == nil {
		return
	}
	r.mu.Lock()
	if len(r.marks) >= MaxMarks-1 || r.late != nil { // they are called in order
		r.late = f
		r.mu.Unlock()
		return
	}
	r.ask(f)
}

// ask is Mark once there is room. The caller holds mu, which is let go.
func (r *Receipt) ask(f func()) {
	via := r.via
	r.via = nil
	m := r.open
	if m == nil {
		m = new(mark)
	}
	r.open = nil
	m.pending += 1 + len(via) // 1 for this call
	m.f = f
	r.marks = append(r.marks, m)
	r.mu.Unlock()
	for _, c := range via {
		c.Confirm(func() { r.finish(m) })
	}
	r.finish(m)
}

// finish notes that one thing of a mark is done.
func (r *Receipt) finish(m *mark) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.pending--
	if r.calling { // whoever does will see it
		return
	}
	r.calling = true
	for len(r.marks) > 0 && r.marks[0].pending == 0 {
		f := r.marks[0].f
		r.marks = r.marks[1:]
		r.mu.Unlock()
		f()
		r.mu.Lock()
		if late := r.late; late != nil {
			r.late = nil
			r.ask(late)
			r.mu.Lock()
		}
	}
	r.calling = false
}
