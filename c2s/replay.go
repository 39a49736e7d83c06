package c2s

import (
	"hash/maphash"
	"slices"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// A client that resumes its session is told how many of its stanzas are safe,
// and sends the others again: XEP-0198, section 5. Those of them that were
// handled, but waited for somebody else's acknowledgement, must not be handled
// again. They are known by their prints.

// printSeed makes prints that clients cannot foresee.
var printSeed = maphash.MakeSeed()

// printOf returns a number by which a stanza is known when it comes again.
func printOf(st *stanza.Stanza) uint64 {
	p := uint64(st.Kind)
	for _, s := range [...]string{st.Type, st.ID, st.To.String(), st.Inner} {
		p = p*1099511628211 ^ maphash.String(printSeed, s)
	}
	return p
}

// isRepeated reports whether a stanza was handled before the stream was
// resumed. With the first one that was not, that is over. The caller holds the
// turn.
func (m *managed) isRepeated(p uint64) bool {
	if len(m.replay) == 0 {
		return false
	}
	if m.replay[0] == p {
		m.replay = m.replay[1:]
		return true
	}
	// The client has left something out, so its numbers are others than before.
	m.replay = nil
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	if before(m.handled, m.safe) {
		m.safe = m.handled
	}
	return false
}

// before reports whether a comes before b, modulo 2^32.
func before(a, b uint32) bool { return int32(a-b) < 0 }

// note counts a stanza that was handled. It reports whether it is time to
// acknowledge without being asked.
func (m *managed) note(p uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.safe == m.handled {
		m.gap = false
	}
	m.handled++
	if !before(m.safe, m.handled) {
		return false
	}
	if len(m.recent) == maxRecent {
		m.gap = true
	}
	if m.gap {
		return m.handled%markEvery == 0
	}
	m.recent = append(m.recent, p)
	return len(m.recent)%markEvery == 0
}

// advance notes that n stanzas are safe. The caller holds mu.
func (m *managed) advance(n uint32) {
	if before(n, m.safe) { // of a part that the client sends once more
		return
	}
	d := min(int(n-m.safe), len(m.recent))
	m.safe = n
	m.recent = slices.Delete(m.recent, 0, d)
	if len(m.recent) == 0 && cap(m.recent) > idleRecent {
		m.recent = nil
	}
}

// said returns the number to acknowledge: not one that the client has yet to
// reach again. The caller holds mu.
func (m *managed) said() uint32 {
	if before(m.handled, m.safe) {
		return m.handled
	}
	return m.safe
}

// resume returns the number that the client goes on from. The caller holds the
// turn.
func (m *managed) resume() uint32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = false
	if m.gap { // marks may cover other stanzas than those that come now under their numbers
		m.epoch++
	}
	again := append(m.recent, m.replay...)
	if before(m.handled, m.safe) { // the client had not sent all of them yet
		again = again[min(int(m.safe-m.handled), len(again)):]
	}
	m.handled, m.recent, m.replay = m.safe, nil, again
	return m.safe
}

// count returns how many stanzas are handled and safe.
func (m *managed) count() uint32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.said()
}
