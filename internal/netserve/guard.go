package netserve

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// PanicError is the error of a function that panicked.
type PanicError struct {
	Value any
	Stack []byte
}

// Error implements error. It does not show the stack.
func (p *PanicError) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// Guard runs f and turns a panic into a *PanicError.
func Guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError(v)
		}
	}()
	return f()
}

// Aside runs f in a goroutine that ends then: the stack that f needs is not kept for
// as long as that of the caller lives. A panic goes on in the caller.
func Aside(f func() error) error {
	var run struct {
		sync.WaitGroup
		err error
	}
	run.Go(func() { run.err = Guard(f) })
	run.Wait()
	if p := (*PanicError)(nil); errors.As(run.err, &p) {
		panic(p)
	}
	return run.err
}

// panicError makes an error of what was recovered. A *PanicError is one that was
// passed on from another goroutine.
func panicError(v any) *PanicError {
	if p, ok := v.(*PanicError); ok {
		return p
	}
	return &PanicError{v, debug.Stack()}
}
