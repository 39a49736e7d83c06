package perhost

import (
	"sync"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestSwitch(t *testing.T) {
	one, two := 1, 2
	var s Switch[*int]
	for _, tt := range []struct {
		name    string
		o       *stanza.PerHost[*int] // nil: not configured
		a, rest *int
	}{
		{"zero", nil, nil, nil},
		{"everywhere", &stanza.PerHost[*int]{Value: &one}, &one, &one},
		{"one host differs", &stanza.PerHost[*int]{Value: &one, Hosts: map[string]*int{"a.test": &two}}, &two, &one},
		{"off for one host", &stanza.PerHost[*int]{Value: &one, Hosts: map[string]*int{"a.test": nil}}, nil, &one},
		{"on for one host", &stanza.PerHost[*int]{Hosts: map[string]*int{"a.test": &two}}, &two, nil},
		{"off", &stanza.PerHost[*int]{}, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.o != nil {
				s.Configure(*tt.o)
			}
			for host, want := range map[string]*int{"a.test": tt.a, "b.test": tt.rest, "": tt.rest} {
				if got := s.For(host); got != want {
					t.Errorf("%q: got %v, want %v", host, got, want)
				}
			}
		})
	}
}

// Values that are no pointers have their zero.
func TestZeroValue(t *testing.T) {
	var s Switch[struct{ n int }]
	if got := s.For("a.test"); got.n != 0 {
		t.Errorf("got %v, want the zero value", got)
	}
}

func TestSwitchWhileUsed(t *testing.T) {
	var s Switch[*int]
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for range 1000 {
				s.Configure(stanza.PerHost[*int]{Value: &n})
				if got := s.For("a.test"); got == nil || *got < 0 || *got > 3 {
					t.Errorf("got %v, want what somebody has set", got)
				}
			}
		})
	}
	wg.Wait()
}

func TestForAllocations(t *testing.T) {
	var s Switch[*int]
	s.Configure(stanza.PerHost[*int]{Value: new(int)})
	if got := testing.AllocsPerRun(100, func() { s.For("a.test") }); got > 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}
