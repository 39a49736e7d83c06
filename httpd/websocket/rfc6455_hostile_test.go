package websocket_test

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// heap is what is in use.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// wantGrowth fails the test if more memory is in use than before, by more than allowed.
func wantGrowth(t testing.TB, before, allowed int) {
	t.Helper()
	if grown := heap() - before; grown > allowed {
		t.Errorf("%d KiB more in use, want %d at most", grown>>10, allowed>>10)
	}
}

// tooBig are the status codes for what is too big, stream errors included.
var tooBig = []int{1009, 1008, 1000, 1002}

// Frames that announce more than is taken are refused when the header is there, and
// nothing is set aside for them. See RFC 6455, section 10.4.
func TestHostileLengths(t *testing.T) {
	s := newSite(t)
	for _, row := range []struct {
		name  string
		at    func(*site, testing.TB) *wire
		frame frame
	}{
		{"100 MB before the stream", (*site).upgraded, frame{op: opText, announce: 100 << 20, payload: "<open "}},
		{"100 MB before the login", (*site).opened, frame{op: opText, announce: 100 << 20, payload: "<auth "}},
		{"100 MB in a session", (*site).session, frame{op: opText, announce: 100 << 20, payload: "<message "}},
		{"1 TB in a session", (*site).session, frame{op: opText, announce: 1 << 40, payload: "<message "}},
		{"as much as there is", (*site).session, frame{op: opText, announce: 1<<63 - 1, payload: "<message "}},
		{"100 MB of a fragment", (*site).session, frame{op: opText, more: true, announce: 100 << 20, payload: "<message "}},
		{"as much as there is, binary", (*site).session, frame{op: opBinary, announce: 1<<63 - 1, payload: "x"}},
	} {
		t.Run("10.4 "+row.name, func(t *testing.T) {
			w := row.at(s, t)
			before := heap()
			w.send(row.frame)
			w.wantFailure(append(tooBig, 1003)...)
			wantGrowth(t, before, 1<<20)
		})
	}
	t.Run("10.4 a sum of fragments that overflows", func(t *testing.T) {
		w := s.login(t, "ana")
		w.send(frame{op: opText, more: true, payload: "<message "}, frame{more: true, announce: 1<<63 - 1, payload: "x"})
		w.wantFailure(tooBig...)
	})
	t.Run("10.4 many who announce and do not send", func(t *testing.T) {
		const n = 200
		before := heap()
		for range n {
			w := s.opened(t)
			w.send(frame{op: opText, announce: 8000, payload: "<auth "}, frame{op: opPing})
		}
		wantGrowth(t, before, n*64<<10)
	})
}

// Fragments cost nothing that stays, however many there are.
func TestHostileFragments(t *testing.T) {
	const many = 1_000_000
	s := newSite(t)
	start := frame{op: opText, more: true, payload: "<message xmlns='jabber:client'"}
	flood := func(w *wire, f frame) {
		w.attacks = true
		w.write([]byte(strings.Repeat(string(f.appendTo(nil)), many)))
	}
	t.Run("10.4 a million empty ones", func(t *testing.T) {
		w := s.login(t, "ana")
		before := heap()
		w.send(frame{op: opText, more: true, payload: "<message xmlns='jabber:client' id='1' to='" + w.jid + "'"})
		flood(w, frame{more: true})
		w.send(frame{payload: "/>"})
		switch f := w.next(); f.op { // both is in order, as long as it costs nothing
		case opText:
			if n := w.parse(f.payload); n.name.Local == "message" {
				w.wantAlive()
			}
		case opClose:
			w.checkClose(f, 1008, 1002, 1009)
		default:
			t.Fatalf("got opcode %d with %q", f.op, f.payload)
		}
		wantGrowth(t, before, 1<<20)
	})
	t.Run("10.4 a million of a byte", func(t *testing.T) {
		w := s.login(t, "ana")
		before := heap()
		w.send(start)
		flood(w, frame{more: true, payload: " "})
		w.wantGone()
		wantGrowth(t, before, 1<<20)
	})
	t.Run("10.4 a million before the login", func(t *testing.T) {
		w := s.opened(t)
		w.send(start)
		flood(w, frame{more: true, payload: " "})
		w.wantGone()
	})
}

// wantGone reads until the connection has ended; all that comes is the end of the stream.
func (w *wire) wantGone() {
	w.t.Helper()
	for f := w.next(); !f.end; f = w.next() {
		if f.op == opText {
			if n := w.parse(f.payload); n.name.Space != nsFraming && n.name.Space != nsStream {
				w.t.Fatalf("got %s, want the end of the stream", n.raw)
			}
		}
	}
}

// Control frames that want answers which nobody reads: the server does not store them.
// See RFC 6455, section 5.5.3.
func TestHostilePings(t *testing.T) {
	s := newSite(t, func(o *terms) { o.xmpp.SendTimeout, o.web.SendTimeout = time.Second, time.Second })
	t.Run("5.5.3 a flood whose answers nobody reads", func(t *testing.T) {
		w := s.login(t, "ana")
		before := heap()
		b := []byte(strings.Repeat(string(ping(strings.Repeat("x", 125)).appendTo(nil)), 1000))
		for range 500 { // 66 MB, more than all buffers between the two hold
			_ = w.c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
			if _, err := w.c.Write(b); err != nil {
				break
			}
		}
		wantGrowth(t, before, 2<<20)
		_ = w.c.Close()
		s.wantOffline(t, w.jid)
	})
	t.Run("5.5.3 a flood that is read", func(t *testing.T) {
		w := s.login(t, "ana")
		const n = 20_000
		go func() {
			b := []byte(strings.Repeat(string(ping("12345678").appendTo(nil)), n))
			_, _ = w.c.Write(append(b, ping("last").appendTo(nil)...))
		}()
		for got := 0; ; got++ {
			f := w.next()
			if f.op != opPong || got > n {
				t.Fatalf("got opcode %d with %q after %d pongs", f.op, f.payload, got)
			}
			if f.payload == "last" {
				break
			}
		}
		w.wantAlive()
	})
	t.Run("5.5.3 a flood of pongs", func(t *testing.T) {
		w := s.login(t, "ana")
		before := heap()
		w.write([]byte(strings.Repeat(string(frame{op: opPong, payload: "x"}.appendTo(nil)), 200_000)))
		w.wantAlive()
		wantGrowth(t, before, 1<<20)
	})
}

// Pings are no sign of a login, which has its time.
func TestHostilePingsBeforeLogin(t *testing.T) {
	t.Run("5.5.2 pings and no login", func(t *testing.T) {
		s := newSite(t, func(o *terms) { o.xmpp.NegotiationTimeout = 300 * time.Millisecond })
		w := s.opened(t)
		go func() {
			for {
				if _, err := w.c.Write(ping("").appendTo(nil)); err != nil {
					return
				}
				runtime.Gosched()
			}
		}()
		defer func() { _ = w.c.Close() }()
		buf := make([]byte, 1<<16)
		_ = w.c.SetReadDeadline(time.Now().Add(patience))
		for {
			if _, err := w.in.Read(buf); err != nil {
				if ne, ok := err.(net.Error); ok && ne.Timeout() {
					t.Error("the connection is still there")
				}
				return
			}
		}
	})
}

// Those who are slow, or not there at all.
func TestHostileSlowness(t *testing.T) {
	short := 300 * time.Millisecond
	s := newSite(t, func(o *terms) {
		o.web.HeaderTimeout, o.web.IdleTimeout, o.web.SendTimeout = short, short, short
		o.xmpp.NegotiationTimeout, o.xmpp.SendTimeout = short, short
	})
	for _, row := range []struct {
		name string
		at   func(testing.TB) *wire
		sent string
	}{
		{"4.2.1 nothing of a handshake", s.dial, ""},
		{"4.2.1 half of a handshake", s.dial, request()[:60]},
		{"4.2.1 a handshake without end", s.dial, request()[:len(request())-2]},
		{"5.2 no frame", s.upgraded, ""},
		{"5.2 half of a header", s.upgraded, "\x81"},
		{"5.2 half of an extended length", s.upgraded, "\x81\xfe\x00"},
		{"5.2 half of a mask", s.upgraded, "\x81\x85\x01\x02"},
		{"5.2 half of a payload", s.upgraded, "\x81\x85\x00\x00\x00\x00<"},
		{"5.4 half of a message", s.upgraded, "\x01\x81\x00\x00\x00\x00<"},
		{"5.5 half of a ping", s.upgraded, "\x89\x85\x00\x00\x00\x00x"},
		{"RFC 7395, 3.4 no login", s.opened, ""},
		{"RFC 7395, 3.7 no restart", s.opened, string(text(plain("ana", "anchor")).appendTo(nil))},
		{"RFC 6120, 7 no binding", func(t testing.TB) *wire { return s.authenticated(t, "ana") }, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := row.at(t)
			w.write([]byte(row.sent))
			_ = w.c.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, w.in); err != nil {
				t.Errorf("got %v, want the end of the connection", err)
			}
		})
	}
	t.Run("7.1.1 a byte now and then", func(t *testing.T) {
		t.Parallel()
		w := s.upgraded(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, b := range text(opening("to='a.test' version='1.0' x='" + strings.Repeat("x", 2000) + "'")).appendTo(nil) {
				if _, err := w.c.Write([]byte{b}); err != nil {
					return
				}
				<-time.After(10 * time.Millisecond)
			}
		}()
		_ = w.c.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, w.in); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Errorf("got %v, want the end of the connection", err)
			}
		}
		_ = w.c.Close()
		<-done
	})
}

// Those who are gone without a word do not hold up anybody.
func TestHostileAbsence(t *testing.T) {
	t.Run("5.5.2 no pong", func(t *testing.T) {
		s := newSite(t, func(o *terms) { o.ws.PingInterval = 100 * time.Millisecond })
		w := s.login(t, "ana")
		s.wantOffline(t, w.jid)
	})
	t.Run("5.5.2 no pong, within a message", func(t *testing.T) {
		s := newSite(t, func(o *terms) { o.ws.PingInterval = 100 * time.Millisecond })
		w := s.login(t, "ana")
		w.send(frame{op: opText, more: true, payload: "<message "})
		w.write([]byte{0})
		s.wantOffline(t, w.jid)
	})
	t.Run("7.1.1 nobody reads at the shutdown", func(t *testing.T) {
		s := newSite(t, func(o *terms) { o.web.Grace, o.xmpp.Grace = 500*time.Millisecond, 500*time.Millisecond })
		var all []*wire
		for range 30 {
			all = append(all, s.login(t, "ana"))
		}
		for _, w := range all { // until the buffers of each are full
			w.write([]byte(strings.Repeat(string(ping(strings.Repeat("x", 125)).appendTo(nil)), 2000)))
		}
		s.end()
	})
	t.Run("7.1.1 nobody closes at the shutdown", func(t *testing.T) {
		s := newSite(t)
		for range 20 {
			s.login(t, "ana")
			s.upgraded(t)
		}
		s.end()
	})
}

// Those who do not read, who come and go, and who send too much too early.
func TestHostileCrowds(t *testing.T) {
	t.Run("nobody reads what others send", func(t *testing.T) {
		s := newSite(t, func(o *terms) { o.xmpp.SendTimeout, o.xmpp.MaxQueueBytes = 300*time.Millisecond, 1<<20 })
		w, bo := s.login(t, "ana"), s.login(t, "bo")
		go func() { _, _ = io.Copy(io.Discard, bo.in) }() // bo is not held up
		m := strings.Replace(message(w.jid, "1"), "text", strings.Repeat("x", 60000), 1)
		for i := range 400 {
			if _, err := bo.c.Write(text(m).appendTo(nil)); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
		}
		s.wantOffline(t, w.jid)
		_ = bo.c.Close()
	})
	t.Run("many who come and go", func(t *testing.T) {
		s := newSite(t)
		for i := range 300 {
			w := s.dial(t)
			w.write([]byte(request()[:1+i%len(request())]))
			_ = w.tcp.SetLinger(i % 2 * -1)
			_ = w.c.Close()
		}
		s.login(t, "ana").wantAlive()
	})
	t.Run(fmt.Sprintf("%d bytes of header", 1<<17), func(t *testing.T) {
		s := newSite(t)
		w := s.dial(t)
		if a := w.request(request("X-Long: " + strings.Repeat("x", 1<<17))); a.StatusCode != 431 {
			t.Errorf("got %s, want 431", a.Status)
		}
	})
}
