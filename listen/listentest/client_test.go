package listentest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// failing catches what a Client says about the other side.
type failing struct {
	testing.TB
	failure string
}

func (f *failing) Helper()        {}
func (f *failing) Cleanup(func()) {}
func (f *failing) Fatalf(format string, args ...any) {
	f.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// failure runs f in a goroutine, as Fatalf ends it, and returns what it said.
func failure(f func(testing.TB)) string {
	tb := &failing{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(tb)
	}()
	<-done
	return tb.failure
}

func TestClientConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := listentest.NewListener()
		go func() {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			for _, piece := range []string{"<a ", "id='7'/>", "<b/>", "rest"} {
				time.Sleep(time.Second)
				_, _ = io.WriteString(c, piece)
			}
			time.Sleep(time.Minute)
			_ = c.Close()
		}()
		c := listentest.NewClient(t, ln.Dial())
		if got := c.ExpectMatch(`id='(\d+)'/>`); got[1] != "7" {
			t.Errorf("ExpectMatch: got %q, want the group 7", got)
		}
		if got := c.Expect("<b/>"); got != "<b/>" {
			t.Errorf("Expect: got %q, want %q", got, "<b/>")
		}
		if got := failure(func(tb testing.TB) {
			listentest.NewClient(tb, c.Conn()).ExpectNothing(10 * time.Second)
		}); !strings.Contains(got, "want nothing") {
			t.Errorf("ExpectNothing: got %q, want a failure", got)
		}
		c.ExpectNothing(time.Second)
		if got := failure(func(tb testing.TB) {
			listentest.NewClient(tb, c.Conn()).Expect("more")
		}); !strings.Contains(got, "want text `more`") {
			t.Errorf("Expect without an answer: got %q, want a failure", got)
		}
		if got := failure(func(tb testing.TB) {
			listentest.NewClient(tb, c.Conn()).ExpectEOF()
		}); !strings.Contains(got, "want the end") {
			t.Errorf("ExpectEOF without one: got %q, want a failure", got)
		}
		time.Sleep(time.Minute)
		if got := c.ExpectEOF(); got != "" {
			t.Errorf("ExpectEOF: got %q, want nothing left", got)
		}
		_ = ln.Close()
	})
}

func TestClientStartTLS(t *testing.T) {
	cert, pool := listentest.Certificate(t, "example.org")
	synctest.Test(t, func(t *testing.T) {
		ln := listentest.NewListener()
		go func() {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "<proceed/>")
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			_, _ = io.WriteString(s, "safe")
			_ = s.Close()
		}()
		c := listentest.NewClient(t, ln.Dial())
		c.Expect("<proceed/>")
		state := c.StartTLS(&tls.Config{ServerName: "example.org", RootCAs: pool})
		if !state.HandshakeComplete {
			t.Error("handshake is not complete")
		}
		c.Expect("safe")
		c.ExpectEOF()
		_ = ln.Close()
	})
}

func TestClientIsBounded(t *testing.T) {
	ln := listentest.NewListener()
	c := ln.Dial()
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			if _, err := s.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}()
	if got := failure(func(tb testing.TB) { listentest.NewClient(tb, c).Expect("x") }); !strings.Contains(got, "bytes without it") {
		t.Errorf("got %q, want a failure for too many bytes", got)
	}
	_, _, _ = c.Close(), s.Close(), ln.Close()
}

func TestSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &listentest.Sink{Limit: 2}
		one, two := &stanza.Stanza{ID: "1"}, &stanza.Stanza{ID: "2"}
		if err := sink.Deliver(one); err != nil {
			t.Errorf("Deliver: %v", err)
		}
		go func() {
			time.Sleep(time.Minute)
			_ = sink.Deliver(two)
		}()
		for _, want := range []*stanza.Stanza{one, two} {
			if got, err := sink.Next(t.Context()); got != want || err != nil {
				t.Errorf("Next: got %v, %v, want stanza %s", got, err, want.ID)
			}
		}
		if err := sink.Deliver(one); err != stanza.ErrQueueFull {
			t.Errorf("Deliver over the limit: got %v, want ErrQueueFull", err)
		}
		if got := sink.Stanzas(); len(got) != 2 {
			t.Errorf("Stanzas: got %d, want 2", len(got))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := sink.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next: got %v, want the context's error", err)
		}
		if _, kicked := sink.Kicked(); kicked {
			t.Error("Kicked: got true before Kick")
		}
		reason := &stanza.StreamError{}
		sink.Kick(reason)
		sink.Kick(nil)
		if got, kicked := sink.Kicked(); got != reason || !kicked {
			t.Errorf("Kicked: got %v, %t, want the first reason", got, kicked)
		}
		if err := sink.Deliver(one); err != stanza.ErrClosed {
			t.Errorf("Deliver after Kick: got %v, want ErrClosed", err)
		}
		if _, err := sink.Next(t.Context()); err != stanza.ErrClosed {
			t.Errorf("Next after Kick: got %v, want ErrClosed", err)
		}
	})
}
