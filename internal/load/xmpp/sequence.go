package xmpp

import "github.com/tidewaiter/tidewaiter/internal/load/meter"

// sequence checks that numbers come from 0 on, each once and in order.
type sequence struct {
	next    int64              // the number that is due
	missing map[int64]struct{} // those below next that have not come, at most maxMissing
	skipped int64              // those below next that are not even remembered

	duplicate, reordered int64
}

// maxMissing bounds what a sequence remembers. Beyond it a number that comes too
// late counts as lost and as a duplicate.
const maxMissing = 1 << 16

// place notes that number n has come.
func (s *sequence) place(n int64) {
	switch {
	case n == s.next:
		s.next++
	case n > s.next:
		s.skip(n)
		s.next++
	default:
		if _, ok := s.missing[n]; !ok {
			s.duplicate++
			return
		}
		delete(s.missing, n)
		s.reordered++
	}
}

// skip notes that the numbers from the next one to n have not come.
func (s *sequence) skip(n int64) {
	if s.missing == nil {
		s.missing = make(map[int64]struct{})
	}
	for ; s.next < n; s.next++ {
		if len(s.missing) == maxMissing {
			s.skipped += n - s.next
			s.next = n
			return
		}
		s.missing[s.next] = struct{}{}
	}
}

// add adds to f what is wrong, when sent numbers were sent and no more will come.
func (s *sequence) add(f meter.Faults, sent int64) meter.Faults {
	f.Duplicate += s.duplicate
	f.Reordered += s.reordered
	f.Lost += int64(len(s.missing)) + s.skipped + sent - s.next
	return f
}
