// Package pending remembers requests until somebody else has answered them,
// within bounds.
package pending

import (
	"cmp"
	"crypto/rand"
	"sync"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Bounds of a Table.
const (
	// MaxRequests is the most requests.
	MaxRequests = 10000
	// MaxBytes is the most bytes of them, as their sizes are given.
	MaxBytes = 8 << 20
	// MaxOfOne is the most requests of one account, where a Table says nothing.
	MaxOfOne = 100
)

// Timeout is how long an answer may take.
const Timeout = 30 * time.Second

// ErrFull says that too many requests wait already. It can go to who has asked.
var ErrFull error = &stanza.Error{Condition: stanza.ResourceConstraint, Text: "too many requests wait for an answer: try again later"}

// Table has requests of a T. Its zero value is empty. It is safe for concurrent
// use.
type Table[T any] struct {
	// OfOne is the most requests of one account. It must not change. 0: MaxOfOne.
	OfOne int

	mu    sync.Mutex
	by    map[string]*entry[T] // by id
	of    map[stanza.JID]int   // how many, by who has asked
	bytes int
}

type entry[T any] struct {
	value T
	from  stanza.JID
	size  int
	late  *time.Timer
}

// Add remembers a request of somebody, whose bare address counts, and returns an
// id that nobody can guess. After Timeout late is called with it in a goroutine,
// unless it was taken before. The error is ErrFull.
func (t *Table[T]) Add(from stanza.JID, size int, value T, late func(T)) (id string, err error) {
	from = from.Bare()
	id = rand.Text()
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.by) >= MaxRequests || t.bytes+size > MaxBytes || t.of[from] >= cmp.Or(t.OfOne, MaxOfOne) {
		return "", ErrFull
	}
	if t.by == nil {
		t.by, t.of = make(map[string]*entry[T]), make(map[stanza.JID]int)
	}
	e := &entry[T]{value: value, from: from, size: size}
	e.late = time.AfterFunc(Timeout, func() {
		if v, ok := t.Take(id, func(T) bool { return true }); ok {
			late(v)
		}
	})
	t.by[id] = e
	t.of[from]++
	t.bytes += size
	return id, nil
}

// Take forgets a request and returns it, if there is one of this id for which
// match holds.
func (t *Table[T]) Take(id string, match func(T) bool) (value T, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.by[id]
	if e == nil || !match(e.value) {
		return value, false
	}
	t.remove(id, e)
	return e.value, true
}

// TakeAll forgets the requests for which match holds and returns them.
func (t *Table[T]) TakeAll(match func(T) bool) (values []T) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, e := range t.by {
		if match(e.value) {
			t.remove(id, e)
			values = append(values, e.value)
		}
	}
	return values
}

// remove takes out an entry. t.mu is held.
func (t *Table[T]) remove(id string, e *entry[T]) {
	e.late.Stop()
	delete(t.by, id)
	t.bytes -= e.size
	if t.of[e.from]--; t.of[e.from] == 0 {
		delete(t.of, e.from)
	}
}

// Len returns how many requests wait.
func (t *Table[T]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.by)
}
