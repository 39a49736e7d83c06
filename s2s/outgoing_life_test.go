package s2s

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/tidewaiter/tidewaiter/shaper"
)

// TestOutgoingSASLRefused checks that dialback takes over where SASL EXTERNAL is
// refused, on another stream if the server ends that one.
func TestOutgoingSASLRefused(t *testing.T) {
	here, _ := listentest.Certificate(t, "here.test")
	there, pool := listentest.Certificate(t, "there.test")
	config := &tls.Config{Certificates: []tls.Certificate{there}, ClientAuth: tls.RequestClientCert}
	t.Run("same stream", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := outStart(t, outWithTLS(pool, here))
			r.send("1")
			p := r.peer().startTLS(config).open(outExternal, outDialback)
			p.Expect(outAuth)
			p.Send(outSASLError)
			p.dialback().messages(1)
			p.close()
			r.returned("", "")
		})
	})
	t.Run("next stream", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := outStart(t, outWithTLS(pool, here))
			r.send("1")
			p := r.peer().startTLS(config).open(outExternal, outDialback)
			p.Expect(outAuth)
			p.Send(outSASLError + "</stream:stream>")
			p.Close()
			p = r.peer().startTLS(config).open(outExternal, outDialback)
			p.dialback().messages(1)
			p.close()
			r.returned("", "")
		})
	})
	t.Run("no certificate asked for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := outStart(t, outWithTLS(pool, here))
			r.send("1")
			p := r.peer().startTLS(&tls.Config{Certificates: config.Certificates}).open(outExternal, outDialback)
			p.dialback().messages(1)
			p.close()
		})
	})
}

// TestOutgoingDirectTLS checks XEP-0368.
func TestOutgoingDirectTLS(t *testing.T) {
	there, pool := listentest.Certificate(t, "there.test")
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, outPolicy(TLSRequired), outWithTLS(pool), func(r *outRig) {
			r.dns.srv["_xmpps-server._tcp.there.test"] = []*net.SRV{outSRV(1, 0, 5270, "there.test.")}
		})
		r.send("1")
		p := r.peer().tls(&tls.Config{Certificates: []tls.Certificate{there}, NextProtos: []string{"xmpp-server"}})
		if got := p.Conn().(*tls.Conn).ConnectionState(); got.NegotiatedProtocol != "xmpp-server" || got.ServerName != "there.test" {
			t.Errorf("got the protocol %q for %q, want xmpp-server for there.test", got.NegotiatedProtocol, got.ServerName)
		}
		p.open(outDialback).dialback().messages(1)
		p.close()
		r.returned("", "")
	})
}

// TestOutgoingIdle checks s2s_timeout: both directions must be silent, and what
// comes then opens another stream.
func TestOutgoingIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, func(r *outRig) { r.set.Timeout = all(time.Minute) })
		r.send("1")
		p := r.peer().open(outDialback).dialback()
		p.messages(1)
		for range 3 {
			time.Sleep(50 * time.Second)
			r.send("2")
			p.messages(1)
		}
		for range 3 {
			time.Sleep(50 * time.Second)
			p.Send("<db:verify from='there.test' to='here.test' id='1'>k</db:verify>")
			p.Expect("<db:verify from='here.test' to='there.test' id='1' type='invalid'/>")
		}
		silent := time.Now()
		_ = p.Conn().SetReadDeadline(time.Time{})
		got, _ := io.ReadAll(io.LimitReader(p.Conn(), int64(len("</stream:stream>"))))
		if took := time.Since(silent); string(got) != "</stream:stream>" || took < time.Minute || took > time.Minute+3*sweepEvery {
			t.Errorf("got %q after %v, want the end of the stream after a minute", got, took)
		}
		r.send("3") // while the stream is being closed
		p.Send("</stream:stream>")
		p.Close()
		p = r.peer().open(outDialback).dialback()
		if got := p.messages(1); got[0] != "3" {
			t.Errorf("got %q, want 3", got)
		}
		p.close()
		r.returned("", "")
		if lines := append(r.lines("lost"), r.lines("no stream")...); len(lines) != 0 {
			t.Errorf("log: got %q, want nothing of it", lines)
		}
	})
}

// TestOutgoingCloseStreams checks that what comes while a stream is being closed goes
// out by the next one.
func TestOutgoingCloseStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.send("1")
		p := r.peer().open(outDialback).dialback()
		p.messages(1)
		r.srv.CloseStreams()
		p.Expect("</stream:stream>")
		r.send("2")
		p.Send("</stream:stream>")
		p.Close()
		p = r.peer().open(outDialback).dialback()
		if got := p.messages(1); got[0] != "2" {
			t.Errorf("got %q, want 2", got)
		}
		p.close()
		r.returned("", "")
	})
}

// TestOutgoingForgets checks that a pool gets empty again, its timer included.
func TestOutgoingForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, func(r *outRig) { r.set.Timeout = all(time.Minute) })
		for i := range 100 {
			r.sendTo(fmt.Sprintf("x@no%d.test", i), "1")
		}
		r.send("1")
		p := r.peer().open(outDialback).dialback()
		p.messages(1)
		pool := r.srv.out
		if n := pool.links.Load(); n != 101 {
			t.Errorf("got %d links, want 101", n)
		}
		time.Sleep(30 * time.Second)
		if n := pool.links.Load(); n != 1 {
			t.Errorf("after the back-off: got %d links, want 1", n)
		}
		time.Sleep(2 * time.Minute)
		p.Close()
		pool.mu.Lock()
		defer pool.mu.Unlock()
		if pool.links.Load() != 0 || pool.timer != nil {
			t.Errorf("in the end: got %d links and a timer: %t, want none", pool.links.Load(), pool.timer != nil)
		}
	})
}

func TestOutgoingBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.srv.out.most = 2
		r.dns.hang = map[string]int{"_xmpp-server._tcp.a.test": 1, "_xmpp-server._tcp.b.test": 1}
		r.sendTo("a.test", "1")
		r.sendTo("b.test", "2")
		r.sendTo("c.test", "3")
		r.returned(stanza.ResourceConstraint, "too many connections", "3")
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := r.routed(); len(got) != 2 {
			t.Errorf("got back %v, want 1 and 2", got)
		}
		for i := range 100 { // those that failed make room
			r.sendTo(fmt.Sprintf("d%d.test", i), "4")
			synctest.Wait()
		}
		found := 0
		for _, st := range r.routed() {
			if strings.Contains(st.Inner, "remote-server-not-found") {
				found++
			}
		}
		if found == 0 {
			t.Error("no domain was looked up after others had failed")
		}
		if n := r.srv.out.links.Load(); n > 2 {
			t.Errorf("got %d links, want 2 at most", n)
		}
	})
}

// TestOutgoingPeerCloses checks that a server which ends its stream in order is not
// in trouble.
func TestOutgoingPeerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		for i := range 5 {
			r.send(fmt.Sprint(i))
			p := r.peer().open(outDialback).dialback()
			p.messages(1)
			p.close()
			synctest.Wait()
			r.noPeer() // nothing is to be sent
		}
		r.returned("", "")
		if lines := append(r.lines("lost"), r.lines("no stream")...); len(lines) != 0 {
			t.Errorf("log: got %q, want nothing of it", lines)
		}
	})
}

// TestOutgoingBarren checks that a server which ends all streams at once is in
// trouble.
func TestOutgoingBarren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.send("0")
		p := r.peer().open(outDialback).dialback()
		p.messages(1)
		stuck := strings.Repeat("x", 60_000)
		for i := range 20 { // more than the connection takes
			r.put(fmt.Sprintf("<message from='a@here.test' to='x@there.test' id='%d'><body>%s</body></message>", i, stuck))
		}
		synctest.Wait()
		p.Close() // the batch under way is lost
		tries := 1
		for ; tries < 20; tries++ {
			synctest.Wait()
			select {
			case p := <-r.conns:
				p.open(outDialback).Expect("</db:result>")
				_ = p.raw.SetDeadline(time.Time{})
				io.WriteString(p.raw, "<db:result from='there.test' to='here.test' type='valid'/></stream:stream>")
				p.Close()
				continue
			default:
			}
			break
		}
		if tries < 2 || tries > 10 {
			t.Errorf("got %d streams, want a few", tries)
		}
		if got := r.routed(); len(got)+tries < 20 { // each stream may have taken one
			t.Errorf("got %d stanzas back from %d streams, want all 20 accounted for", len(got), tries)
		}
	})
}

// TestOutgoingLost checks what becomes of stanzas when a connection is lost: what was
// sent and not acknowledged is returned, the rest goes with the next stream.
func TestOutgoingLost(t *testing.T) {
	for _, managed := range []bool{false, true} {
		t.Run(fmt.Sprintf("managed %t", managed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := outStart(t)
				r.send("1")
				connect := func() *outPeer {
					if !managed {
						return r.peer().open(outDialback).dialback()
					}
					p := r.peer().open(outDialback, outSM).dialback()
					p.Expect("<enable xmlns='urn:xmpp:sm:3'/>")
					p.Send("<enabled xmlns='urn:xmpp:sm:3'/>")
					return p
				}
				p := connect()
				p.messages(1)
				big := strings.Repeat("y", 2*listentest.BufferSize)
				r.put("<message from='a@here.test' to='x@there.test' id='2'><body>" + big + "</body></message>")
				synctest.Wait() // in the middle of its write
				r.send("3")
				r.send("4")
				p.Close()
				synctest.Wait()
				r.send("5")
				p = connect()
				if got := p.messages(3); !slices.Equal(got, []string{"3", "4", "5"}) {
					t.Errorf("got %q, want 3, 4 and 5", got)
				}
				if managed {
					r.returned(stanza.RemoteServerTimeout, "lost before", "1", "2")
					p.Send("<a xmlns='urn:xmpp:sm:3' h='3'/>")
				} else {
					r.returned(stanza.RemoteServerTimeout, "lost before", "2")
				}
				p.close()
				r.returned("", "")
				if lines := r.lines("stream to a server was lost"); len(lines) != 1 {
					t.Errorf("log: got %q, want one line", lines)
				}
			})
		})
	}
}

// TestOutgoingNoAcknowledgement checks AckTimeout.
func TestOutgoingNoAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.send("1")
		p := r.peer().open(outDialback, outSM).dialback()
		p.Expect("<enable ")
		p.Send("<enabled xmlns='urn:xmpp:sm:3'/>")
		p.messages(1)
		p.Expect("<r ")
		time.Sleep(61 * time.Second)
		p.Expect("<connection-timeout ")
		p.Close()
		r.returned(stanza.RemoteServerTimeout, "lost before", "1")
	})
}

// TestOutgoingUnmanaged checks a server that does not want stream management after
// all.
func TestOutgoingUnmanaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.send("1")
		p := r.peer().open(outDialback, outSM).dialback()
		p.Expect("<enable ")
		p.Send("<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
		p.messages(1)
		p.close()
		r.returned("", "")
	})
}

// outArrivals is a Receipt and what it has confirmed.
type outArrivals struct {
	mu      sync.Mutex
	receipt stanza.Receipt
	done    []string
}

func (a *outArrivals) send(r *outRig, id string) {
	st := inStanza(r.t, "<message from='a@here.test' to='x@there.test' id='"+id+"'/>")
	if err := r.srv.Route(a.receipt.Context(context.Background()), st); err != nil {
		r.t.Errorf("Route: %v", err)
	}
	a.receipt.Mark(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.done = append(a.done, id)
	})
}

func (a *outArrivals) want(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	if got := strings.Join(a.done, " "); got != want {
		t.Errorf("confirmed: got %q, want %q", got, want)
	}
}

// TestOutgoingReceipt checks that senders hear of what has arrived, and not before,
// across streams.
func TestOutgoingReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		var a outArrivals
		a.send(r, "1")
		a.send(r, "2")
		a.want(t, "")
		p := r.peer().open(outDialback, outSM).dialback()
		p.Expect("<enable ")
		p.Send("<enabled xmlns='urn:xmpp:sm:3'/>")
		p.messages(2)
		a.want(t, "")
		p.Send("<a xmlns='urn:xmpp:sm:3' h='1'/>")
		a.want(t, "") // 2 went the same way, and is not told apart
		p.Send("<a xmlns='urn:xmpp:sm:3' h='2'/>")
		a.want(t, "1 2")
		a.send(r, "3")
		p.messages(1)
		p.Send("</stream:stream>") // 3 is returned, 4 waits
		synctest.Wait()
		a.send(r, "4")
		p.Close()
		a.want(t, "1 2 3")
		r.returned(stanza.RemoteServerTimeout, "lost", "3")
		p = r.peer().open(outDialback).dialback()
		p.messages(1)
		a.want(t, "1 2 3 4")
		p.close()
		r.refuse["192.0.2.7"] = errOutRefused
		synctest.Wait()
		a.send(r, "5")
		a.want(t, "1 2 3 4 5")
		r.returned(stanza.RemoteServerTimeout, "connecting", "5")
	})
}

// TestOutgoingConnections checks that the stanzas of a sender stay on one of several
// streams.
func TestOutgoingConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		three := shaper.Fixed(shaper.Rate{BytesPerSecond: 3})
		r := outStart(t, func(r *outRig) { r.set.MaxConnections, r.set.MaxConnectionsPerNode = three, three })
		for i := range 60 {
			r.put(fmt.Sprintf("<message from='u%d@here.test/%d' to='x@there.test' id='%d'/>", i%20, i, i%20))
		}
		synctest.Wait()
		var peers []*outPeer
		for range 3 {
			peers = append(peers, r.peer().open(outDialback).dialback())
		}
		synctest.Wait()
		if n := r.srv.Queued(); n != 0 {
			t.Errorf("%d stanzas still wait, want none", n)
		}
		seen := map[string]int{}
		for _, p := range peers {
			mine := map[string]bool{}
			p.Send("</stream:stream>")
			for text := range strings.SplitSeq(p.ExpectEOF(), "<message ") {
				if _, id, ok := strings.Cut(text, " id='"); ok {
					id, _, _ = strings.Cut(id, "'")
					if !mine[id] {
						seen[id]++
					}
					mine[id] = true
				}
			}
		}
		r.noPeer()
		for i := range 20 {
			if n := seen[fmt.Sprint(i)]; n != 1 {
				t.Errorf("sender %d came by %d streams, want 1", i, n)
			}
		}
	})
}

// TestOutgoingShutdown checks that what is queued is sent, and that no stream is left.
func TestOutgoingShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.sendTo("x@there.test", "1")
		p := r.peer()
		done := make(chan error, 1)
		go func() { done <- r.srv.Shutdown(context.Background()) }()
		synctest.Wait()
		r.send("2")
		r.returned(stanza.RemoteServerTimeout, "shut down", "2")
		p.open(outDialback).dialback().messages(1)
		p.Expect("</stream:stream>")
		p.Send("</stream:stream>")
		p.Close()
		if err := <-done; err != nil {
			t.Errorf("Shutdown: got %v, want no error", err)
		}
	})
}

func TestOutgoingShutdownAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.send("1")
		p := r.peer().open(outDialback, outSM).dialback()
		p.Expect("<enable ")
		p.Send("<enabled xmlns='urn:xmpp:sm:3'/>")
		p.messages(1)
		done := make(chan error, 1)
		go func() { done <- r.srv.Shutdown(context.Background()) }()
		synctest.Wait()
		p.Expect("<r xmlns='urn:xmpp:sm:3'/>")
		p.ExpectNothing(time.Second)
		p.Send("<a xmlns='urn:xmpp:sm:3' h='1'/>")
		p.Expect("</stream:stream>")
		p.Close()
		if err := <-done; err != nil {
			t.Errorf("Shutdown: got %v, want no error", err)
		}
		r.returned("", "")
	})
}

func TestOutgoingShutdownTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.send("1") // connecting
		p := r.peer()
		r.put("<message from='a@also.test' to='x@there.test' id='2'/>")
		q := r.peer()
		q.Expect(">")
		q.Expect("from='also.test'")
		q.Send(q.header(" version='1.0'") + "<stream:features>" + outDialback + "</stream:features>")
		q.Expect("</db:result>")
		q.Send("<db:result from='there.test' to='also.test' type='valid'/>")
		q.messages(1)
		big := strings.Repeat("y", 2*listentest.BufferSize)
		for _, id := range []string{"3", "4"} {
			r.put("<message from='a@also.test' to='x@there.test' id='" + id + "'><body>" + big + "</body></message>")
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := r.srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: got %v, want the context's error", err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("Shutdown took %v, want about a second", took)
		}
		var got []string
		for _, st := range r.routed() {
			got = append(got, st.ID)
		}
		if slices.Sort(got); !slices.Equal(got, []string{"1", "3", "4"}) {
			t.Errorf("got back %q, want 1, 3 and 4", got)
		}
		p.Close()
		q.Close()
		r.send("5")
		r.returned(stanza.RemoteServerTimeout, "shut down", "5")
	})
}

func TestOutgoingShutdownNothing(t *testing.T) {
	r := outStart(t)
	if err := r.srv.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: got %v, want no error", err)
	}
}

// TestOutgoingPanic checks that a panic of the host ends one stream.
func TestOutgoingPanic(t *testing.T) {
	there, pool := listentest.Certificate(t, "there.test")
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, outWithTLS(pool), func(r *outRig) {
			r.route = func(_ context.Context, st *stanza.Stanza) {
				if st.ID == "boom" {
					panic("boom")
				}
			}
		})
		r.send("1")
		p := r.peer().startTLS(&tls.Config{Certificates: []tls.Certificate{there}}).open(outDialback, outBidi)
		p.dialback().messages(1)
		p.Send("<message from='x@there.test' to='a@here.test' id='boom'/>")
		p.Expect("<internal-server-error ")
		p.Close()
		synctest.Wait()
		r.send("2")
		p = r.peer().startTLS(&tls.Config{Certificates: []tls.Certificate{there}}).open(outDialback)
		p.dialback().messages(1)
		p.close()
	})
}
