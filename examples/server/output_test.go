package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// bound is how long anything may take here; it only ends tests that hang.
const bound = 30 * time.Second

// output collects what a server writes.
type output struct {
	mu      sync.Mutex
	b       bytes.Buffer
	changed chan struct{} // closed at the next Write; nil: nobody waits
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (o *output) Reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Reset()
}

// next returns the text and a channel that is closed when there is more.
func (o *output) next() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return o.b.String(), o.changed
}

// wait waits for a line that contains want.
func (o *output) wait(t *testing.T, want string) {
	t.Helper()
	late := time.NewTimer(bound)
	defer late.Stop()
	for {
		text, more := o.next()
		if strings.Contains(text, want) {
			return
		}
		select {
		case <-more:
		case <-late.C:
			t.Fatalf("the server does not say %q:\n%s", want, text)
		}
	}
}
