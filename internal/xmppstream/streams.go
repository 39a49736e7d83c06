package xmppstream

import "sync"

// Streams are those of a listener, which are told when it ends: a list that costs
// less than a context of its own for each. S is a pointer to a struct that embeds
// Place. The zero value has none.
type Streams[S placed[S]] struct {
	mu    sync.Mutex
	first S
	tell  func(S) // since the end; nil before
}

type placed[S any] interface {
	comparable
	place() *Place[S]
}

// Place is where a stream stands among others.
type Place[S any] struct{ next, prev S }

func (p *Place[S]) place() *Place[S] { return p }

// Add puts in a stream, which is not in a list yet.
func (l *Streams[S]) Add(s S) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var none S
	if l.first != none {
		l.first.place().prev = s
	}
	s.place().next, l.first = l.first, s
	if l.tell != nil {
		l.tell(s)
	}
}

// Remove takes a stream out. It is not told any more, but may just have been.
func (l *Streams[S]) Remove(s S) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var none S
	p := s.place()
	if p.prev != none {
		p.prev.place().next = p.next
	} else {
		l.first = p.next
	}
	if p.next != none {
		p.next.place().prev = p.prev
	}
	*p = Place[S]{}
}

// Each calls do with each stream that is there. It must not block.
func (l *Streams[S]) Each(do func(S)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var none S
	for s := l.first; s != none; s = s.place().next {
		do(s)
	}
}

// Shutdown calls tell with each stream that is there, and with those that come from
// now on. tell must not block.
func (l *Streams[S]) Shutdown(tell func(S)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tell = tell
	var none S
	for s := l.first; s != none; s = s.place().next {
		tell(s)
	}
}
