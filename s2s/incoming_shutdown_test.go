package s2s

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// TestIncomingShutdown wants all streams to be told, whatever they are at.
func TestIncomingShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inStart(t, inTLS)
		silent := r.dial()
		peers := map[string]*inPeer{
			"open":     r.open("peer.test", "one.test"),
			"dialback": r.dialback("peer.test", "one.test"),
			"EXTERNAL": r.external("peer.test", "one.test"),
		}
		bidi := r.open("peer.test", "one.test")
		bidi.Send(inBidi)
		bidi.prove("peer.test", "one.test")
		peers["bidi"] = bidi
		r.fake.onVerify = func(ctx context.Context, _ inQuestion) error {
			<-ctx.Done()
			return ctx.Err()
		}
		checking := r.open("peer.test", "one.test")
		checking.Send(inResult("peer.test", "one.test", "good"))
		peers["checking"] = checking
		synctest.Wait()

		cause := errors.New("maintenance")
		began := time.Now()
		r.cancel(cause)
		for name, c := range peers {
			if rest := c.expectError("system-shutdown"); strings.Contains(rest, "db:result") {
				t.Errorf("%s: got %s, want nothing else", name, rest)
			}
		}
		silent.expectError("system-shutdown")
		if err := r.wait(); err != cause {
			t.Errorf("got %v, want %v", err, cause)
		}
		if took := time.Since(began); took > r.o.Grace {
			t.Errorf("got the end after %v, want at most %v", took, r.o.Grace)
		}
		if got := r.fake.over; len(got) != 1 {
			t.Errorf("got %v released, want one", got)
		}
		if got := r.log.String(); strings.Contains(got, "failed") {
			t.Errorf("got the log %s, want no failures", got)
		}
		if got := r.server.IncomingStats(); got != (IncomingStats{}) {
			t.Errorf("got %+v in the end, want nothing", got)
		}
	})
}

// TestIncomingCloseStreams wants the streams that there are to be closed, and the
// listener to take others.
func TestIncomingCloseStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inStart(t, inTLS)
		peers := map[string]*inPeer{
			"open":     r.open("peer.test", "one.test"),
			"dialback": r.dialback("peer.test", "one.test"),
			"EXTERNAL": r.external("peer.test", "one.test"),
		}
		synctest.Wait()
		r.server.CloseStreams()
		for _, c := range peers {
			c.expectEnd()
		}
		synctest.Wait()
		if got := r.server.IncomingStats(); got != (IncomingStats{}) {
			t.Errorf("got %+v, want nothing left", got)
		}
		r.dialback("peer.test", "one.test").Close()
	})
}

// TestIncomingShutdownStuck wants Listen to return after the grace period though a
// server does not read.
func TestIncomingShutdownStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := inStart(t, func(r *inRig) {
			r.fake.onOver = func(out *xmppstream.Outbox) { out.Undelivered(); out.Settle() }
		})
		c := r.open("peer.test", "one.test")
		c.Send(inBidi)
		c.prove("peer.test", "one.test")
		synctest.Wait()
		big := inStanza(t, "<message from='one.test' to='peer.test'><body>"+strings.Repeat("x", 100_000)+"</body></message>")
		for range 10 {
			if err := r.fake.out.Deliver(big); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		began := time.Now()
		r.cancel(errors.New("stop"))
		_ = r.wait()
		if took := time.Since(began); took > r.o.Grace+time.Second {
			t.Errorf("got the end after %v, want at most %v", took, r.o.Grace)
		}
		c.Close()
	})
}

// TestIncomingBroken wants what was queued for a server whose connection breaks to
// be known: what may have arrived, and what has not.
func TestIncomingBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left []stanza.Queued
		r := inStart(t, func(r *inRig) {
			r.fake.onOver = func(out *xmppstream.Outbox) {
				left = out.Undelivered()
				out.Settle()
			}
		})
		c := r.open("peer.test", "one.test")
		c.Send(inBidi)
		c.prove("peer.test", "one.test")
		synctest.Wait()
		big := inStanza(t, "<message from='one.test' to='peer.test'><body>"+strings.Repeat("x", 100_000)+"</body></message>")
		for range 5 {
			if err := r.fake.out.Deliver(big); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		c.Close()
		r.drain()
		if len(left) != 5 || !left[0].Sent || left[4].Sent {
			t.Errorf("got %d undelivered, want 5, the first of which may have arrived", len(left))
		}
		r.log.Expect(t, "connection failed", "from=peer.test", "to=one.test")
	})
}
