package host

import (
	"math"
	"sync"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Bounds of what a catch-up has given to a session and its sink has not confirmed
// yet.
const (
	// MaxWindow is the most stanzas.
	MaxWindow = 256
	// MaxWindowBytes is the most bytes, but for a single stanza.
	MaxWindowBytes = 256 << 10
)

// roomer is a sink that says how much Deliver would take now: 0 when it is full
// or has ended.
type roomer interface {
	Room() (stanzas, bytes int)
}

// window counts what a sink has been given and has not confirmed. What the store
// has is confirmed by Local.Arrived, the rest by stanza.Confirmer.
type window struct {
	sink     stanza.Sink
	confirms bool // else there is nothing to count

	mu     sync.Mutex     // never held while the sink is called
	n      int            // stanzas that are not confirmed
	bytes  int            // of them
	kept   map[uint64]int // sizes of those that the store has, by key
	loose  int            // those that the sink has not been asked for
	light  int            // bytes of them
	alone  question       // whether the sink has nothing else
	change chan struct{}  // has one when news is set; nil: nobody waits yet
	news   bool           // there may be room that there was not
}

// question is one that a sink answers by its confirmation.
type question int

const (
	idle question = iota
	wanted
	asked
	confirmed
)

// fits reports whether the sink can be given some stanzas more: it is left as much
// room as it has been given from here. A single one of any size fits when the
// sink has nothing else.
func (w *window) fits(stanzas, bytes int) bool {
	if !w.confirms || stanzas == 0 {
		return true
	}
	room, space := math.MaxInt, math.MaxInt
	if r, ok := w.sink.(roomer); ok {
		room, space = r.Room()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	single := stanzas == 1 && w.n == 0
	if !single && (w.n+stanzas > MaxWindow || w.bytes+bytes > MaxWindowBytes) {
		return false
	}
	if room >= w.n+stanzas && space >= w.bytes+bytes {
		return true
	}
	if !single || room == 0 || space == 0 {
		return false
	}
	alone := w.alone == confirmed
	switch {
	case alone:
		w.alone = idle
	case w.alone == idle:
		w.alone = wanted
	}
	return alone
}

// add counts a stanza that the sink is about to be given.
func (w *window) add(s *stanza.Stanza) {
	if !w.confirms {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	size := s.Size()
	w.n++
	w.bytes += size
	if s.Kept == 0 {
		w.loose++
		w.light += size
		return
	}
	if w.kept == nil {
		w.kept = make(map[uint64]int)
	}
	w.kept[s.Kept] = size
}

// remove takes back the last add: the sink has not taken the stanza.
func (w *window) remove(s *stanza.Stanza) {
	if !w.confirms {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.Kept == 0 {
		w.loose--
		w.light -= s.Size()
		w.less(1, s.Size())
	} else if size, ok := w.kept[s.Kept]; ok {
		delete(w.kept, s.Kept)
		w.less(1, size)
	}
}

// less notes that something is confirmed. w.mu is held.
func (w *window) less(n, bytes int) {
	w.n -= n
	w.bytes -= bytes
	w.wake()
}

// wake lets who waits look again. w.mu is held.
func (w *window) wake() {
	w.news = true
	select {
	case w.change <- struct{}{}:
	default:
	}
}

// arrived notes what the client has got of what the store has.
func (w *window) arrived(keys []uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range keys {
		if size, ok := w.kept[key]; ok {
			delete(w.kept, key)
			w.less(1, size)
		}
	}
}

// poke lets who waits look again.
func (w *window) poke() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wake()
}

// asks reports whether it is time to ask: several times in a window, so that the
// sink need not be without work.
func (w *window) asks() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.loose >= MaxWindow/4 || w.light >= MaxWindowBytes/4
}

// ask asks the sink to confirm what it has not been asked for.
func (w *window) ask() {
	w.mu.Lock()
	n, bytes, alone := w.loose, w.light, w.alone == wanted
	w.loose, w.light = 0, 0
	if alone {
		w.alone = asked
	}
	w.mu.Unlock()
	if n == 0 && !alone {
		return
	}
	confirm(w.sink, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if alone {
			w.alone = confirmed
		}
		w.less(n, bytes)
	})
}

// wakes returns what has one when news is set.
func (w *window) wakes() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.change == nil {
		w.change = make(chan struct{}, 1)
	}
	return w.change
}

// ready reports whether there may be room that there was not, and most is
// confirmed; empty: all is.
func (w *window) ready() (ready, empty bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ready = w.news && w.n <= MaxWindow/2 && w.bytes <= MaxWindowBytes/2
	if ready {
		w.news = false
	}
	return ready, w.n == 0
}
