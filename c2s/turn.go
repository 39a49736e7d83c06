package c2s

import (
	"slices"
	"sync"
)

// turn is a lock for what takes long. Whoever waits for it can give up, and gets
// it in the order of asking. Its zero value is free. It is a mutex and not a
// channel for its size.
type turn struct {
	mu      sync.Mutex
	held    bool
	waiting []chan struct{} // closed when it is theirs
}

// take waits for the turn until done is closed; nil: for as long as it takes. It
// reports whether the caller has it.
func (t *turn) take(done <-chan struct{}) bool {
	t.mu.Lock()
	if !t.held {
		t.held = true
		t.mu.Unlock()
		return true
	}
	mine := make(chan struct{})
	t.waiting = append(t.waiting, mine)
	t.mu.Unlock()
	select {
	case <-mine:
		return true
	case <-done:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting, mine)
	if i < 0 { // it has just come
		return true
	}
	t.waiting = slices.Delete(t.waiting, i, i+1)
	return false
}

// give gives the turn to who has waited longest.
func (t *turn) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.held, t.waiting = false, nil
		return
	}
	close(t.waiting[0])
	t.waiting = t.waiting[1:]
}
