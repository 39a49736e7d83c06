package bosh_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd/bosh"
)

// See XEP-0124, section 10.
func TestPause(t *testing.T) {
	for _, c := range []struct {
		name, attrs string
		want        time.Duration // until the session ends
	}{
		{"within the bound", "pause='60'", time.Minute},
		{"longest", "pause='120'", 2 * time.Minute},
		{"longer", "pause='121'", 2 * time.Minute},
		{"much longer", "pause='18446744073709551616'", 2 * time.Minute},
		{"shorter than usual", "pause='5'", 5 * time.Second},
		{"none", "pause='0'", time.Second},
	} {
		bubble(t, c.name, func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			x, s := r.open("")
			held := x.send("", "")
			synctest.Wait()
			pause := x.next(c.attrs, "")
			r.post(pause).is(t, empty)
			held.wait().is(t, empty)
			began := time.Now()
			if _, err := s.Read(); err == nil {
				t.Error("Read: got no error")
			}
			if took := time.Since(began); took != c.want {
				t.Errorf("the session has ended after %v, want %v", took, c.want)
			}
			_ = s.end()
		})
	}
}

// The answer to a pause has no payload, which waits, and the next request ends it.
func TestPauseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		written := make(chan error, 1)
		go func() { written <- s.Write(batch(message)) }()
		synctest.Wait()
		pause := c.next("pause='100'", "<presence/>")
		r.post(pause).is(t, empty)
		r.post(pause).is(t, empty) // in case that it was lost
		if in, err := s.Read(); err != nil || in.Stanza == nil {
			t.Errorf("got %+v, %v, want the presence", in, err)
		}
		time.Sleep(90 * time.Second)
		if len(written) > 0 {
			t.Errorf("Write: got %v during the pause", <-written)
		}
		c.ask("", "").is(t, withBody(message))
		if err := <-written; err != nil {
			t.Errorf("Write: got %v", err)
		}
		began := time.Now()
		if _, err := s.Read(); err == nil {
			t.Error("Read: got no error")
		}
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("after the pause: it took %v, want 30 s", took)
		}
		_ = s.end()
	})
}
