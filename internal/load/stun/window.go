package stun

import "time"

// slot is one thing that may be under way at a time, again and again.
type slot struct {
	sequence uint32        // of the last one, from 1 on
	at       time.Duration // it was sent
	state    slotState
}

type slotState uint8

const (
	idle slotState = iota // nothing was sent yet, or it was answered
	pending
	lost // nothing came in time
)

// window bounds what is under way.
type window struct {
	slots []slot
	free  []int // slots of which nothing is under way
	lossy bool  // something was lost, at some time
}

func newWindow(n int) window {
	w := window{slots: make([]slot, n), free: make([]int, n)}
	for i := range w.free {
		w.free[i] = n - 1 - i
	}
	return w
}

// take begins something. There must be a free slot.
func (w *window) take(now time.Duration) (slot int, sequence uint32) {
	i := w.free[len(w.free)-1]
	w.free = w.free[:len(w.free)-1]
	s := &w.slots[i]
	s.sequence++
	s.at, s.state = now, pending
	return i, s.sequence
}

// untake undoes the last take.
func (w *window) untake(slot int) {
	w.slots[slot].sequence--
	w.slots[slot].state = idle
	w.free = append(w.free, slot)
}

// verdict says what an answer is worth.
type verdict uint8

const (
	onTime verdict = iota
	late
	duplicate
	corrupt // it answers nothing that was ever sent
)

// answer notes an answer, and says when what it answers was sent.
func (w *window) answer(slot int, sequence uint32) (at time.Duration, v verdict) {
	if slot < 0 || slot >= len(w.slots) || sequence == 0 || sequence > w.slots[slot].sequence {
		return 0, corrupt
	}
	s := &w.slots[slot]
	switch {
	case sequence == s.sequence && s.state == pending:
		s.state = idle
		w.free = append(w.free, slot)
		return s.at, onTime
	case sequence == s.sequence && s.state == lost:
		s.state = idle
		return s.at, late
	case sequence < s.sequence && w.lossy:
		return 0, late // or a duplicate: nobody remembers
	}
	return 0, duplicate
}

// expire gives up what was sent before a time, and returns how many things that were.
func (w *window) expire(before time.Duration) (n int64) {
	for i := range w.slots {
		if s := &w.slots[i]; s.state == pending && s.at < before {
			s.state = lost
			w.lossy = true
			w.free = append(w.free, i)
			n++
		}
	}
	return n
}

// pending returns how many things are under way.
func (w *window) pending() int { return len(w.slots) - len(w.free) }
