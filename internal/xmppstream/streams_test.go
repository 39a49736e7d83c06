package xmppstream

import (
	"slices"
	"strings"
	"sync"
	"testing"
)

// listed is a stream that counts how often it is told.
type listed struct {
	Place[*listed]
	told int
}

func (s *listed) tell() { s.told++ }

// all returns the streams, and checks the links between them.
func (l *Streams[S]) all(t *testing.T) (list []S) {
	t.Helper()
	var none S
	before := none
	for s := l.first; s != none; s = s.place().next {
		if len(list) > 100 {
			t.Fatal("the list has no end")
		}
		if s.place().prev != before {
			t.Fatalf("number %d has another one before it than that of which it is the next", len(list))
		}
		list, before = append(list, s), s
	}
	return list
}

func TestStreams(t *testing.T) {
	tests := []struct {
		name, do string // +0 adds number 0, -0 removes it, ! is the end
		told     [3]int
		left     int
	}{
		{"none", "!", [3]int{}, 0},
		{"before the end none is told", "+0 +1", [3]int{}, 2},
		{"all are told", "+0 +1 +2 !", [3]int{1, 1, 1}, 3},
		{"added after the end", "+0 ! +1", [3]int{1, 1}, 2},
		{"removed before the end", "+0 +1 -0 !", [3]int{0, 1}, 1},
		{"removed after the end", "+0 +1 ! -0", [3]int{1, 1}, 1},
		{"added and removed after the end", "! +0 -0", [3]int{1}, 0},
		{"all removed before the end", "+0 +1 -1 -0 !", [3]int{}, 0},
		{"added again", "+0 +1 -0 -1 +0 !", [3]int{1}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var l Streams[*listed]
			var s [3]listed
			for step := range strings.FieldsSeq(tt.do) {
				switch step[0] {
				case '+':
					l.Add(&s[step[1]-'0'])
				case '-':
					l.Remove(&s[step[1]-'0'])
				default:
					l.Shutdown((*listed).tell)
				}
			}
			if got := [3]int{s[0].told, s[1].told, s[2].told}; got != tt.told {
				t.Errorf("told: got %d, want %d", got, tt.told)
			}
			if left := l.all(t); len(left) != tt.left {
				t.Errorf("got %d streams in the end, want %d", len(left), tt.left)
			}
		})
	}
}

// TestStreamsAreForgotten checks that nothing is kept of streams that are removed,
// in whichever order, and that they keep nothing of others.
func TestStreamsAreForgotten(t *testing.T) {
	for _, order := range [][]int{{2, 4, 0, 3, 1}, {0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}} {
		var l Streams[*listed]
		all := make([]*listed, 5)
		for i := range all {
			all[i] = new(listed)
			l.Add(all[i])
		}
		for n, i := range order {
			l.Remove(all[i])
			left := l.all(t)
			if len(left) != len(all)-n-1 || slices.Contains(left, all[i]) {
				t.Fatalf("order %v: number %d: got %d streams left, want %d others", order, i, len(left), len(all)-n-1)
			}
			if *all[i] != (listed{}) {
				t.Errorf("order %v: number %d still holds others", order, i)
			}
		}
	}
}

// TestStreamsRemovedWhileEnding has streams come and go while all are told: each
// that is there when Shutdown begins, or comes later, is told once; no other one.
func TestStreamsRemovedWhileEnding(t *testing.T) {
	for range 100 {
		var l Streams[*listed]
		staying := new(listed)
		l.Add(staying)
		var users sync.WaitGroup
		for range 4 {
			users.Go(func() {
				for range 20 {
					s := new(listed)
					l.Add(s)
					l.Remove(s)
					if s.told > 1 {
						t.Errorf("told: got %d times, want 1 at most", s.told)
					}
				}
			})
		}
		users.Go(func() { l.Shutdown((*listed).tell) })
		users.Wait()
		late := new(listed)
		l.Add(late)
		if staying.told != 1 || late.told != 1 || len(l.all(t)) != 2 {
			t.Errorf("told: got %d and %d times of %d streams, want 1 each of 2", staying.told, late.told, len(l.all(t)))
		}
	}
}
