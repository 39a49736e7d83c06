package netserve

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestAside(t *testing.T) {
	failed := errors.New("failed")
	tests := []struct {
		name      string
		f         func() error
		want      error
		wantPanic any
	}{
		{"returns", func() error { return nil }, nil, nil},
		{"fails", func() error { return failed }, failed, nil},
		{"panics", func() error { panic("ouch") }, nil, "ouch"},
		{"returns a panic of another one", func() error { return fmt.Errorf("below: %w", &PanicError{Value: "ouch"}) }, nil, "ouch"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer func() {
				v := recover()
				if p, ok := v.(*PanicError); ok {
					v = p.Value
				}
				if v != tt.wantPanic {
					t.Errorf("got panic %v, want %v", v, tt.wantPanic)
				}
			}()
			if err := Aside(tt.f); err != tt.want {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// The stack of a panic is that of where it began, not of where it goes on.
func TestAsideStack(t *testing.T) {
	err := Guard(func() error { return Aside(stumble) })
	var p *PanicError
	if !errors.As(err, &p) || !strings.Contains(string(p.Stack), "stumble") {
		t.Errorf("got %#v, want a PanicError with the stack of who panicked", err)
	}
}

func stumble() error { panic("ouch") }
